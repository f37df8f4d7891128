"""A right rewrite passes and an almost right one is named, in whole programs and in regions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from graphlab.program import Program
from graphlab.rewriting.change import Change
from graphlab.rewriting.new_tensor import NewTensor
from graphlab.verification.result import VerificationError, VerifyOptions
from graphlab.verification.verify import verify
from tests.verification.modules import Attention, call, captured, edited, find, with_weight

ATEN = torch.ops.aten
MODES = ("whole", "regions")
X = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))
SDPA = Change("fuse-attention", (("matmul_1", "sdpa"),), "attention written out")


@pytest.fixture(scope="module")
def attention() -> Program:
    return captured(Attention(), X)


def fused(program: Program, scale: float = 0.5, order: str = "qkv", **kwargs: Any) -> Program:
    def edit(graph: torch.fx.Graph) -> None:
        old = find(graph, "matmul_1")
        named = dict(zip("qkv", ("transpose", "transpose_1", "transpose_2"), strict=True))
        operands = [find(graph, named[letter]) for letter in order]
        new = call(graph, old, ATEN.scaled_dot_product_attention.default, *operands, name="sdpa", scale=scale, **kwargs)
        old.replace_all_uses_with(new)

    return edited(program, edit)


@pytest.mark.parametrize("mode", MODES)
def test_a_right_rewrite_passes_at_two_bindings(attention: Program, mode: str) -> None:
    found = verify(attention, fused(attention), [SDPA], options=VerifyOptions(mode=mode))
    assert found.complete
    assert found.mode == mode
    assert len(found.bindings) == 2
    assert all(a != b for a, b in zip(*(tuple(binding.values()) for binding in found.bindings), strict=True))
    assert found.worst_float64 is not None
    assert found.worst_float64 < 1e-13
    found.raise_for_error()


WRONG = {
    "scale": lambda program: fused(program, 0.5 * (1 + 1e-6)),
    "swapped": lambda program: fused(program, order="qvk"),
    "query-and-key": lambda program: fused(program, order="kqv"),
    "causal": lambda program: fused(program, is_causal=True),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", WRONG)
def test_an_almost_right_rewrite_is_named(attention: Program, name: str, mode: str) -> None:
    found = verify(attention, WRONG[name](attention), [SDPA], options=VerifyOptions(mode=mode))
    assert not found.ok
    assert found.broken is not None
    assert (found.broken.pass_name, found.broken.before, found.broken.after) == ("fuse-attention", "matmul_1", "sdpa")
    with pytest.raises(VerificationError, match="pass fuse-attention broke matmul_1, now sdpa"):
        found.raise_for_error()


@pytest.mark.parametrize("mode", MODES)
def test_the_first_of_several_changes_that_is_wrong_is_named(mode: str) -> None:
    program = captured(nn.Sequential(*(nn.Linear(4, 4) for _ in range(3))), torch.ones(2, 4))

    def edit(graph: torch.fx.Graph) -> None:
        for index, name in enumerate(("linear", "linear_1", "linear_2")):
            old = find(graph, name)
            operands = list(old.args)
            weight = operands[1]
            assert isinstance(weight, torch.fx.Node)
            turned = call(graph, old, ATEN.t.default, weight, name=f"turned_{index}")
            turned.meta["val"] = weight.meta["val"].t()
            second = turned if index != 1 else weight
            new = call(graph, old, ATEN.addmm.default, operands[2], operands[0], second, name=f"addmm_{index}")
            old.replace_all_uses_with(new)

    changes = [
        Change(f"pass-{index}", ((name, f"addmm_{index}"),), "")
        for index, name in enumerate(("linear", "linear_1", "linear_2"))
    ]
    found = verify(program, edited(program, edit), changes[::-1], options=VerifyOptions(mode=mode))
    assert found.broken is not None
    assert (found.broken.pass_name, found.broken.after) == ("pass-1", "addmm_1")


def drop_bias(graph: torch.fx.Graph) -> None:
    old = find(graph, "linear_3")
    old.replace_all_uses_with(call(graph, old, ATEN.linear.default, *old.args[:2], name="bare"))


@pytest.mark.parametrize("mode", MODES)
def test_a_dropped_bias_that_is_zero_at_initialisation_is_caught(attention: Program, mode: str) -> None:
    change = Change("simplify", (("linear_3", "bare"),), "")
    found = verify(attention, edited(attention, drop_bias), [change], options=VerifyOptions(mode=mode))
    assert found.broken is not None
    assert (found.broken.pass_name, found.broken.after) == ("simplify", "bare")


def other_eps(graph: torch.fx.Graph) -> None:
    norm = find(graph, "layer_norm")
    norm.args = (*norm.args[:4], 1e-6, *norm.args[5:])


@pytest.mark.parametrize("mode", MODES)
def test_another_eps_in_a_node_that_no_change_names_is_found(attention: Program, mode: str) -> None:
    found = verify(attention, edited(attention, other_eps), options=VerifyOptions(mode=mode))
    assert found.broken is not None
    assert (found.broken.pass_name, found.broken.before, found.broken.after) == ("", "layer_norm", "layer_norm")
    with pytest.raises(VerificationError, match="the programs differ at layer_norm"):
        found.raise_for_error()


@pytest.mark.parametrize("mode", MODES)
def test_a_wrong_claim_is_caught_though_the_results_agree(mode: str) -> None:
    class Hidden(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x.abs() + 1) * 0 + x.sin()

    program = captured(Hidden(), torch.ones(2, 4))
    change = Change("wrong", (("abs_1", "neg"),), "")

    def edit(graph: torch.fx.Graph) -> None:
        old = find(graph, "abs_1")
        old.replace_all_uses_with(call(graph, old, ATEN.neg.default, old.args[0], name="neg"))

    found = verify(program, edited(program, edit), [change], options=VerifyOptions(mode=mode))
    assert found.broken is not None
    assert found.broken.pass_name == "wrong"


@pytest.mark.parametrize("mode", MODES)
def test_values_are_followed_over_several_passes(attention: Program, mode: str) -> None:
    def edit(graph: torch.fx.Graph) -> None:
        old = find(graph, "mul")
        old.replace_all_uses_with(call(graph, old, ATEN.div.Tensor, old.args[0], 2.5, name="third"))

    changes = [Change("first", (("mul", "second"),), ""), Change("last", (("second", "third"),), "")]
    found = verify(attention, edited(attention, edit), changes, options=VerifyOptions(mode=mode))
    assert found.broken is not None
    assert (found.broken.pass_name, found.broken.before, found.broken.after) == ("first then last", "mul", "third")


@pytest.mark.parametrize("mode", MODES)
def test_a_value_replaced_by_one_that_was_there_is_compared(mode: str) -> None:
    class Dropped(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.dropout(x.sin(), 0.5, self.training).cos() + nn.functional.relu(x)

    program = captured(Dropped(), torch.randn(2, 4))

    def without(name: str) -> Callable[[torch.fx.Graph], None]:
        def edit(graph: torch.fx.Graph) -> None:
            old = find(graph, name)
            old.replace_all_uses_with(old.args[0])  # type: ignore[arg-type]  # checked by running it

        return edit

    right = [Change("drop-noops", (("dropout", "sin"),), "")]
    assert verify(program, edited(program, without("dropout")), right, options=VerifyOptions(mode=mode)).complete
    wrong = [Change("drop-noops", (("relu", "x"),), "")]
    found = verify(program, edited(program, without("relu")), wrong, options=VerifyOptions(mode=mode))
    assert found.broken is not None
    assert (found.broken.before, found.broken.after) == ("relu", "x")


JOINED = NewTensor(
    "joined", 3 * 64 * 4, ("to_q.weight", "to_k.weight", "to_v.weight"), lambda made: torch.cat(list(made.values()))
)
SWAPPED = NewTensor(
    "joined", 3 * 64 * 4, ("to_q.weight", "to_k.weight", "to_v.weight"), lambda made: torch.cat([*made.values()][::-1])
)


def joined(program: Program, recipe: NewTensor, width: int = 8) -> Program:
    def edit(graph: torch.fx.Graph) -> None:
        linears = [find(graph, name) for name in ("linear", "linear_1", "linear_2")]
        weight = find(graph, "p_joined")
        source = linears[0].args[0]
        assert isinstance(source, torch.fx.Node)
        wide = call(graph, linears[0], ATEN.linear.default, source, weight, name="wide")
        shape = source.meta["val"]
        wide.meta["val"] = shape.new_empty((*shape.shape[:-1], 3 * width))
        for place, old in enumerate(linears):
            part = call(graph, old, ATEN.slice.Tensor, wide, -1, width * place, width * (place + 1), name=f"p{place}")
            old.replace_all_uses_with(call(graph, old, ATEN.add.Tensor, part, old.args[2], name=f"biased{place}"))

    return edited(with_weight(program, recipe), edit)


QKV = [
    Change(
        "fuse-qkv", tuple(zip(("linear", "linear_1", "linear_2"), ("biased0", "biased1", "biased2"), strict=True)), ""
    )
]


@pytest.mark.parametrize("mode", MODES)
def test_a_new_weight_is_made_of_the_drawn_ones(attention: Program, mode: str) -> None:
    options = VerifyOptions(mode=mode)
    assert verify(attention, joined(attention, JOINED), QKV, new_tensors=[JOINED], options=options).complete
    found = verify(attention, joined(attention, SWAPPED), QKV, new_tensors=[SWAPPED], options=options)
    assert found.broken is not None
    assert (found.broken.pass_name, found.broken.before, found.broken.after) == ("fuse-qkv", "linear", "biased0")


def test_a_new_weight_without_a_recipe_or_with_other_numbers_is_refused(attention: Program) -> None:
    found = verify(attention, joined(attention, JOINED), QKV)
    assert found.broken is not None
    assert (found.broken.pass_name, found.broken.after) == ("fuse-qkv", "weight joined")
    found = verify(attention, joined(attention, SWAPPED), QKV, new_tensors=[JOINED])
    assert found.broken is not None
    assert found.broken.why == "the program holds another tensor"


def test_a_weight_that_was_written_into_is_found(attention: Program) -> None:
    after = edited(attention, lambda graph: None)
    assert after.exported is not None
    state = dict(after.exported.state_dict)
    state["out.bias"] = nn.Parameter(state["out.bias"] + 1)
    after.exported._state_dict = state
    found = verify(attention, after)
    assert found.broken is not None
    assert found.broken.after == "weight out.bias"


def test_other_signatures_are_refused(attention: Program) -> None:
    class Two(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return x, x + 1

    class Ints(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2

    with pytest.raises(VerificationError, match="return 1 and 2 values"):
        verify(attention, captured(Two(), X, dynamic=False))
    with pytest.raises(VerificationError, match="take other inputs"):
        verify(attention, captured(Ints(), X.int(), dynamic=False))


@pytest.mark.parametrize("mode", MODES)
def test_a_node_that_cannot_run_is_named(attention: Program, mode: str) -> None:
    def edit(graph: torch.fx.Graph) -> None:
        old = find(graph, "matmul_1")
        turned = call(graph, old, ATEN.t.default, old.args[0], name="turned")
        old.replace_all_uses_with(call(graph, old, ATEN.matmul.default, turned, old.args[1], name="new"))

    found = verify(
        attention,
        edited(attention, edit),
        [Change("edit", (("matmul_1", "new"),), "")],
        options=VerifyOptions(mode=mode),
    )
    assert found.broken is not None
    assert found.broken.pass_name == "edit"
    assert "cannot be run" in found.broken.why


@pytest.mark.parametrize("mode", MODES)
def test_a_weight_changed_on_purpose_is_changed_on_both_sides(attention: Program, mode: str) -> None:
    masked = NewTensor("to_v.weight", 256, ("to_v.weight",), lambda made: made["to_v.weight"].triu())
    after = fused(attention)
    assert after.exported is not None
    state = dict(after.exported.state_dict)
    state["to_v.weight"] = nn.Parameter(state["to_v.weight"].detach().triu())
    after.exported._state_dict = state
    options = VerifyOptions(mode=mode)
    assert verify(attention, after, [SDPA], new_tensors=[masked], options=options).complete
    assert not verify(attention, after, [SDPA], options=options).ok
    assert not verify(attention, fused(attention), [SDPA], new_tensors=[masked], options=options).ok
