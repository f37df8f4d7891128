"""fold-constants: what is computed once, what stays and why, same numbers, second run."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from graphlab.passes.rewrite.fold_constants import FoldConstants
from graphlab.plugins import find_pass
from graphlab.rewriter import run_pass
from graphlab.rewriting.options import OptionError
from graphlab.rewriting.record import CHANGED_WEIGHTS
from tests.passes.rewrites import Call, captured, fires, reasons, stays, text

X, OTHER = torch.randn(2, 6, 4), torch.randn(3, 8, 4)


def parameter(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(shape))


def test_is_found_by_name() -> None:
    assert find_pass("fold-constants") is FoldConstants


def test_before_and_after() -> None:
    module = Call(lambda m, x: x * (m.scale * 2).exp(), scale=parameter(4))
    assert text(captured(module, X)) == [
        "mul = mul.Tensor(p_scale, 2)",
        "exp = exp(mul)",
        "mul_1 = mul.Tensor(args_0, exp)",
    ]
    result = fires(FoldConstants(), module, [(X,), (OTHER,)])
    assert text(result.program) == ["mul_1 = mul.Tensor(args_0, p_folded_exp)"]
    assert [(made.key, made.nbytes, made.origins) for made in result.new_tensors] == [("folded_exp", 16, ("scale",))]
    assert result.dropped == ("scale",)
    assert result.changes[0].why == "scale decides it: 2 calls"
    assert result.program.history == (f"fold-constants; {CHANGED_WEIGHTS}",)
    made = result.program.exported
    assert made is not None
    assert isinstance(made.state_dict["folded_exp"], nn.Parameter)


def test_nothing_but_numbers_becomes_a_constant_and_changes_no_weight() -> None:
    module = Call(lambda m, x: x + torch.tril(torch.ones(4, 4))[1] * torch.arange(4, dtype=x.dtype).exp())
    result = fires(FoldConstants(), module, [(X,), (OTHER,)])
    assert text(result.program) == ["add = add.Tensor(args_0, c_folded_mul)"]
    assert [(made.key, made.origins) for made in result.new_tensors] == [("folded_mul", ())]
    assert result.program.history == ("fold-constants",)


FOLDED: dict[str, tuple[Callable[[nn.Module, torch.Tensor], object], list[str]]] = {
    "weight norm": (
        lambda m, x: F.linear(x, m.v / m.v.norm(dim=1, keepdim=True) * m.g),
        ["linear = linear(args_0, p_folded_mul)"],
    ),
    "below a view": (
        lambda m, x: x @ (m.v * 2).t(),
        ["t = t(p_folded_mul)", "matmul = matmul(args_0, t)"],
    ),
    "one of two that share their start": (
        lambda m, x: x * (m.g + 1).exp().squeeze() + x.sin() * (m.g + 1).squeeze(),
        [
            *("squeeze = squeeze(p_folded_exp)", "mul = mul.Tensor(args_0, squeeze)", "sin = sin(args_0)"),
            *("squeeze_1 = squeeze(p_folded_add_1)", "mul_1 = mul.Tensor(sin, squeeze_1)"),
            "add_2 = add.Tensor(mul, mul_1)",
        ],
    ),
    "a cast": (lambda m, x: x.double() * m.h.double(), ["mul = mul.Tensor(to, p_folded_to_1)"]),
    "a buffer": (lambda m, x: x + m.table.sin(), ["add = add.Tensor(args_0, b_folded_sin)"]),
    "one part of several": (
        lambda m, x: x + torch.topk(m.h, 4).values,
        ["add = add.Tensor(args_0, p_folded_getitem)"],
    ),
}


@pytest.mark.parametrize("name", sorted(FOLDED))
def test_folded(name: str) -> None:
    call, expected = FOLDED[name]
    module = Call(call, v=parameter(4, 4), g=parameter(4, 1), h=parameter(4), table=torch.randn(4))
    result = fires(FoldConstants(), module, [(X,), (OTHER,)], tolerance=1e-5)
    renamed = [line.replace("add_1 ", "add ").replace("add_2 ", "add ") for line in text(result.program)]
    assert renamed[-len(expected) :] == [line.replace("add_2 ", "add ") for line in expected]


STAYS: dict[str, tuple[Callable[[nn.Module, torch.Tensor], object], list[str]]] = {
    "too large": (lambda m, x: x @ (m.wide * 2).T + x @ m.wide.T, ["it would add 1.0 MiB, the limit is 0.5"]),
    "a view": (lambda m, x: x @ m.v.t(), []),
    "views of views": (lambda m, x: x @ m.v.view(2, 2, 4).flatten(0, 1).unsqueeze(0), []),
    "a fill": (lambda m, x: x + torch.zeros(4), []),
    "random numbers": (lambda m, x: x + torch.rand(4), []),
    "a size of an input": (lambda m, x: x + torch.arange(x.shape[1]).unsqueeze(1), []),
    "an input": (lambda m, x: x + x * m.g.squeeze(), []),
    "a result": (
        lambda m, x: (x * 2, m.g * 2),
        ["a result lies in it: callers would be handed the memory of a weight"],
    ),
    "a view of it is a result": (
        lambda m, x: (x * 2, (m.g * 2).view(2, 2)),
        ["a result lies in it: callers would be handed the memory of a weight"],
    ),
}


@pytest.mark.parametrize("name", sorted(STAYS))
def test_stays(name: str) -> None:
    call, expected = STAYS[name]
    module = Call(call, v=parameter(4, 4), g=parameter(4, 1), wide=parameter(1 << 16, 4))
    limit = FoldConstants(limit_mb=0.5) if name == "too large" else FoldConstants()
    assert stays(limit, module, X)[: len(expected)] == expected


def test_the_limit_counts_what_is_added() -> None:
    """A value as large as the weight that it replaces adds nothing."""
    module = Call(lambda m, x: x @ (m.wide * 2).T, wide=parameter(64, 4))
    result = fires(FoldConstants(limit_mb=0.0), module, [(X,), (OTHER,)])
    assert result.dropped == ("wide",)


def test_a_buffer_that_the_program_writes_is_no_constant() -> None:
    def call(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
        y = x * (m.count + 1)
        m.count.add_(1)
        return y

    result = FoldConstants().run(captured(Call(call, count=torch.ones(4)), X))
    assert not result.modified
    assert reasons(result) == []


def test_weights_without_values() -> None:
    module = Call(lambda m, x: x * (m.scale * 2), scale=parameter(4)).to("meta")
    found = FoldConstants().run(captured(module, X.to("meta")))
    assert not found.modified
    assert [skip.why for skip in found.skips] == ["the weights have no values: they are on the meta device"]


def test_recipes_follow_the_precision_they_are_given() -> None:
    half = Call(lambda m, x: x * m.scale.bfloat16().float(), scale=parameter(4))
    made = FoldConstants().run(captured(half, X)).new_tensors[0]
    exact = torch.tensor([1.000001, 2.000002, 3.000003, 4.000004])
    assert torch.equal(made.make({"scale": exact}), exact.bfloat16().float())
    assert torch.equal(made.make({"scale": exact.double()}), exact.double())
    numbers = Call(lambda m, x: x + torch.arange(4, dtype=torch.float32).div(3).exp())
    recipe = FoldConstants().run(captured(numbers, X)).new_tensors[0].make
    assert torch.equal(recipe.double({}), torch.arange(4, dtype=torch.float64).div(3).exp())  # type: ignore[attr-defined]  # a Recipe


def test_the_limit_is_checked() -> None:
    program = captured(Call(lambda m, x: x * 2), X)
    with pytest.raises(OptionError, match="limit_mb=-1 is not a number of at least 0"):
        run_pass("fold-constants,limit_mb=-1", program)
