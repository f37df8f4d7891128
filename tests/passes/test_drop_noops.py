"""drop-noops: what goes in which spelling, what stays and why, same numbers, second run."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from graphlab.passes.rewrite.drop_noops import DropNoops
from graphlab.plugins import find_pass
from tests.passes.rewrites import Call, captured, checked, fires, reasons, run, same, stays, text

Function = Callable[[nn.Module, torch.Tensor], object]

X, OTHER = torch.randn(2, 6, 4), torch.randn(3, 8, 4)


def test_is_found_by_name() -> None:
    assert find_pass("drop-noops") is DropNoops


def test_before_and_after() -> None:
    module = Call(lambda m, x: F.dropout(x.to(torch.float32), 0.1, False).transpose(1, 2).transpose(1, 2) * 2)
    stated = "_assert_tensor_metadata_default = _assert_tensor_metadata(args_0, dtype=torch.float32, device=cpu, layout"
    before = text(captured(module, X))
    result = fires(DropNoops(), module, [(X,), (OTHER,)])
    assert before == [
        f"{stated}=torch.strided)",
        "to = to.dtype(args_0, torch.float32)",
        "dropout = dropout(to, 0.1, False)",
        "transpose = transpose.int(dropout, 1, 2)",
        "transpose_1 = transpose.int(transpose, 1, 2)",
        "mul = mul.Tensor(transpose_1, 2)",
    ]
    assert text(result.program) == [f"{stated}=torch.strided)", "mul = mul.Tensor(args_0, 2)"]
    assert [change.why for change in result.changes] == [
        "to returns what it is given",
        "dropout returns what it is given",
        "permutations that undo each other",
    ]


GONE: dict[str, Function] = {
    "dropout of nothing": lambda m, x: F.dropout(x, 0.0, True),
    "alpha dropout": lambda m, x: F.alpha_dropout(x, 0.3, False),
    "feature dropout": lambda m, x: F.dropout1d(x, 0.3, False),
    "to its dtype": lambda m, x: x.to(x),
    "type as": lambda m, x: x.type_as(x * 2),
    "copy to its dtype": lambda m, x: torch.ops.aten._to_copy(x, dtype=torch.float32),
    "there and back": lambda m, x: x.double().float(),
    "clone": lambda m, x: x.clone(),
    "detach": lambda m, x: x.detach(),
    "alias": lambda m, x: torch.ops.aten.alias(x),
    "lift": lambda m, x: torch.ops.aten.lift_fresh(x),
    "contiguous": lambda m, x: torch.ops.aten.contiguous(x),
    "view": lambda m, x: x.view(x.shape),
    "reshape": lambda m, x: x.reshape(x.shape[0], -1, x.shape[2]),
    "permute": lambda m, x: x.permute(0, 1, 2),
    "three permutations": lambda m, x: x.permute(1, 2, 0).permute(1, 2, 0).permute(1, 2, 0),
    "two transposes": lambda m, x: x.mT.transpose(-1, -2),
    "expand": lambda m, x: x.expand(x.shape[0], -1, -1),
    "slice": lambda m, x: x[:, 0:],
    "squeeze": lambda m, x: x.squeeze(1),
    "unsqueeze and squeeze": lambda m, x: x.unsqueeze(1).squeeze(1),
    "flatten and unflatten": lambda m, x: x.flatten(1, 2).unflatten(1, (-1, x.shape[2])),
    "repeat": lambda m, x: x.repeat(1, 1, 1),
    "repeat interleave": lambda m, x: x.repeat_interleave(1, dim=1),
    "cat of one": lambda m, x: torch.cat([x], 1),
    "split in one": lambda m, x: x.split(4, 2)[0],
    "pad by nothing": lambda m, x: F.pad(x, (0, 0, 0, 0)),
    "minus 0": lambda m, x: x - 0,
    "plus -0.0": lambda m, x: x + -0.0,
    "times 1": lambda m, x: x * 1.0,
    "over 1": lambda m, x: x / 1,
    "to the power of 1": lambda m, x: x**1,
}


@pytest.mark.parametrize("name", sorted(GONE))
def test_gone(name: str) -> None:
    module = Call(lambda m, x: torch.tanh(GONE[name](m, x)))  # type: ignore[arg-type]  # each returns a tensor
    assert [line for line in text(fires(DropNoops(), module, [(X,), (OTHER,)]).program) if "assert" not in line] == [
        "tanh = tanh(args_0)"
    ]


def integers_plus_zero(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return (x.argmax(1) + 0) * 3


def test_integers_plus_zero() -> None:
    result = fires(DropNoops(), Call(integers_plus_zero), [(X,), (OTHER,)])
    assert text(result.program) == ["argmax = argmax(args_0, 1)", "mul = mul.Tensor(argmax, 3)"]


def test_bfloat16_through_float32_and_not_the_other_way() -> None:
    half = X.bfloat16()
    result = fires(DropNoops(), Call(lambda m, x: x.float().bfloat16() * 2), [(half,), (OTHER.bfloat16(),)])
    assert text(result.program)[-1] == "mul = mul.Tensor(args_0, 2)"
    lossy = captured(Call(lambda m, x: x.bfloat16().float() * 2), X)
    kept = DropNoops().run(lossy)
    assert [line.split(" = ")[0] for line in text(kept.program) if "assert" not in line] == ["to", "to_1", "mul"]


def test_rounding_twice_stays() -> None:
    """Half to bfloat16 and back loses bits, integers through float32 lose digits."""
    half = captured(Call(lambda m, x: x.bfloat16().half() * 2), X.half())
    whole = captured(Call(lambda m, x: x.float().long() * 2), torch.ones(2, 3, dtype=torch.int64))
    for program in (half, whole):
        assert len([line for line in text(DropNoops().run(program).program) if " to" in line]) == 2


MERGED: dict[str, tuple[Function, list[str]]] = {
    "reshapes": (
        lambda m, x: torch.tanh(x.reshape(-1, x.shape[2]).reshape(x.shape[0], -1, 2, 2)),
        ["reshape_default = reshape(args_0, [sym_size_int_2, -1, 2, 2])", "tanh = tanh(reshape_default)"],
    ),
    "permutations": (
        lambda m, x: torch.tanh(x.permute(1, 2, 0).transpose(0, 1)),
        ["permute_default = permute(args_0, [2, 1, 0])", "tanh = tanh(permute_default)"],
    ),
    "contiguous before a view": (
        lambda m, x: torch.tanh(x.transpose(1, 2).contiguous().view(x.shape[0], -1)),
        ["transpose = transpose.int(args_0, 1, 2)", "view = reshape(transpose, [sym_size_int_2, -1])"],
    ),
    "contiguous before a product": (
        lambda m, x: torch.bmm(x.transpose(1, 2).contiguous(), x),
        ["transpose = transpose.int(args_0, 1, 2)", "bmm = bmm(transpose, args_0)"],
    ),
}


@pytest.mark.parametrize("name", sorted(MERGED))
def test_merged(name: str) -> None:
    call, expected = MERGED[name]
    result = fires(DropNoops(), Call(call), [(X,), (OTHER,)], tolerance=1e-5)
    renamed = [line.replace("sym_size_int_3", "sym_size_int_2") for line in text(result.program)]
    assert renamed[: len(expected)] == expected


STAYS: dict[str, tuple[Function, list[str]]] = {
    "plus 0": (lambda m, x: torch.tanh(x + 0), ["adding 0.0 turns -0.0 into 0.0"]),
    "minus -0.0": (lambda m, x: torch.tanh(x - -0.0), ["adding 0.0 turns -0.0 into 0.0"]),
    "a copy that is a result": (lambda m, x: x.clone(), ["a result lies in this copy"]),
    "a view of a copy that is a result": (lambda m, x: x.clone().view(-1), ["a result lies in this copy"]),
    "a result in another order": (lambda m, x: x.mT.contiguous(), ["a result lies in this copy"]),
    "what follows would lie another way": (
        lambda m, x: torch.tanh(x.mT.contiguous()),
        ["a result would get other strides"],
    ),
    "read as it lies": (
        lambda m, x: torch.tanh(x.mT.contiguous()).as_strided((2, 3), (1, 1)).sum(),
        ["as_strided reads it as it lies in memory"],
    ),
    "two readers": (
        lambda m, x: (lambda y: torch.bmm(y, x) + torch.bmm(y, x * 2))(x.mT.contiguous()),
        ["several readers want this order of memory"],
    ),
    "asked for by name": (
        lambda m, x: x.unsqueeze(0).contiguous(memory_format=torch.channels_last).sum(1),
        ["a memory format asked for by name"],
    ),
    "a reshape that copies, read elsewhere": (
        lambda m, x: (lambda y: torch.tanh(y).sum() + torch.tanh(y.view(x.shape[0], -1)).sum())(x.mT.reshape(-1)),
        [],
    ),
    "dropout in training": (lambda m, x: F.dropout(x, 0.5, True).sum() * 0, []),
    "a permutation of equal sizes": (lambda m, x: torch.tanh(x.permute(1, 0, 2)), []),
    "half of an even length": (lambda m, x: torch.tanh(x[:, : x.shape[1] // 2 * 2]), []),
    "division that rounds": (lambda m, x: torch.div(x, 1, rounding_mode="floor").sum(), []),
    "minus -0.0, spelled as a sum": (lambda m, x: torch.tanh(torch.add(x, -0.0, alpha=-1)), []),
    "promoted": (lambda m, x: x.argmax(1) * 1.0, []),
    "a tensor of ones": (lambda m, x: torch.tanh(x * torch.ones_like(x)), []),
    "cropped and padded": (lambda m, x: torch.tanh(F.pad(x, (0, 0, -1, 1))), []),
    "other bits": (lambda m, x: x.view(torch.int32) * 2, []),
}


@pytest.mark.parametrize("name", sorted(STAYS))
def test_stays(name: str) -> None:
    call, expected = STAYS[name]
    assert stays(DropNoops(), Call(call), X) == expected


def test_results_keep_their_strides() -> None:
    module = Call(lambda m, x: torch.tanh(x.mT.contiguous()).transpose(1, 2) * 1)
    program = captured(module, X)
    result = DropNoops().run(program)
    after = run(result.program, (X,))
    same(after, module(X))
    assert after.stride() == module(X).stride()


def test_assertions_about_inputs_and_sizes_stay() -> None:
    module = Call(lambda m, x: x.bfloat16().float().sum())
    result = checked(DropNoops(), captured(module, X))
    assert [line.split("(")[1].split(",")[0] for line in text(result.program) if "_assert" in line] == ["args_0"]
    assert [change.why for change in result.changes] == ["the dtypes of the inputs imply it"]


def test_capture_notes_survive_the_node_they_are_kept_on() -> None:
    from graphlab.rewriting.record import saved_history

    program = captured(Call(lambda m, x: x.clone() * 2), X)
    assert program.exported is not None
    first = next(node for node in program.exported.graph.nodes if node.target is torch.ops.aten.clone.default)
    first.meta["custom"] = {"graphlab_notes": ["captured by hand"]}
    result = DropNoops().run(program)
    assert reasons(result) == []
    assert result.program.exported is not None
    kept = next(node for node in result.program.exported.graph.nodes if node.op == "call_function")
    assert kept.meta["custom"]["graphlab_notes"] == ["captured by hand"]
    assert saved_history(result.program.exported) == ("drop-noops",)
