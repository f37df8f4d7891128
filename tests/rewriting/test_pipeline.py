"""Passes in order to a fixed point; those that undo each other, never end or break their contract are named."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

import graphlab
from graphlab.errors import GraphlabError
from graphlab.passes_base import Analysis
from graphlab.plugins import passes as installed
from graphlab.rewriter import chosen_passes, rewrite_program
from graphlab.rewriting import pipeline
from graphlab.rewriting.draft import Draft
from graphlab.rewriting.pipeline import LEVELS, level_passes, rewrite_from, run_passes
from graphlab.verification.result import VerificationError
from graphlab.verification.verify import verify
from tests.rewriting.toys import Broken, Doubled, Named, Spelled, Swollen, X, aten, calls, program, values


def test_levels_grow_and_hold_exact_rewrites_only() -> None:
    assert LEVELS[0] == ()
    assert set(LEVELS[1]) < set(LEVELS[2])
    assert all(item.exact for level in LEVELS for item in level_passes(level))


def test_every_pass_of_a_level_is_installed_and_no_analysis() -> None:
    known = installed()
    assert [name for name in LEVELS[2] if issubclass(known[name].value, Analysis)] == []


def test_passes_run_until_nothing_changes_and_say_how_long() -> None:
    before = program()
    result = run_passes(before, [rewrite_from("eliminate-dead"), Spelled()])
    assert calls(result.program) == ["linear.default", "clamp_min.default"]
    assert [name for name, _ in result.seconds] == ["eliminate-dead", "spell-relu"]
    assert all(seconds > 0 for _, seconds in result.seconds)
    assert result.program.history == ("spell-relu",)
    assert calls(before) == ["linear.default", "relu.default"]


@pytest.mark.parametrize("order", [0, 1])
def test_passes_that_undo_each_other_are_named(order: int) -> None:
    """A third pass that is active in every round, cleaning up what one of them leaves, is not."""
    pair = [Spelled(), Named()]
    before = program()
    with pytest.raises(GraphlabError) as failed:
        run_passes(before, [rewrite_from("drop-noops"), *(pair[::-1] if order else pair)])
    said = failed.value.message.removeprefix("passes undo each other: ").removesuffix(
        " change the program back to what it was"
    )
    assert sorted(said.split(" and ")) == ["name-relu", "spell-relu"]
    assert failed.value.hint == "leave one of them out; the program is unchanged"
    assert torch.equal(values(before), values(program()))


class Attention(nn.Module):
    """(batch, heads, tokens, width) of one tensor with itself."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.scaled_dot_product_attention(x, x, x)


def test_fusing_and_decomposing_attention_undo_each_other() -> None:
    given = program(Attention(), torch.randn(2, 2, 4, 8))
    with pytest.raises(GraphlabError, match="passes undo each other") as failed:
        graphlab.rewrite(given, level=2, passes=["decompose-attention"])
    named = failed.value.message.split(": ")[1].split(" change")[0].split(" and ")
    assert sorted(named) == ["decompose-attention", "fuse-attention"]


def test_a_pass_that_never_ends_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "MOST_ROUNDS", 3)

    def longer(draft: Draft) -> None:
        (node,) = list(draft.calls(aten.relu.default))[-1:]
        draft.replace(
            node, draft.call(aten.relu.default, draft.call(aten.relu.default, node.args[0], at=node), at=node), "two"
        )

    with pytest.raises(
        GraphlabError, match=r"no fixed point: after 3 rounds broken still change the program \(.*leave"
    ):
        run_passes(program(), [Broken(longer)])


def test_passes_that_change_values_run_first_and_once() -> None:
    before = program()
    result = run_passes(before, [Spelled(), Doubled()])
    assert [change.pass_name for change in result.changes] == ["double-weights", "spell-relu"]
    assert before.exported is not None
    weight = before.exported.state_dict["linear.weight"]
    assert result.program.exported is not None
    assert torch.equal(result.program.exported.state_dict["linear.weight"], weight * 2)
    assert result.program.history == ("double-weights; changes weights", "spell-relu")


def test_verification_starts_after_what_changes_values() -> None:
    before = program()
    result = rewrite_program(before, chosen_passes(None, [Spelled(), Doubled()]), verify=True)
    assert result.verification is not None
    assert result.verification.complete
    assert result.base is not None
    assert result.base.history == ("double-weights; changes weights",)
    assert [change.pass_name for change in result.changes] == ["double-weights", "spell-relu"]
    assert [made.key for made in result.new_tensors] == ["linear.weight"]


def test_recipes_are_kept_over_several_passes() -> None:
    before = program()
    result = run_passes(before, [Swollen("_a"), Swollen("_b")], to_fixed_point=False)
    keys = {made.key: made.intermediate for made in result.new_tensors}
    assert keys == {"linear.weight_a": True, "linear.weight_a_b": False}
    assert [made.key for made in result.held] == ["linear.weight_a_b"]
    assert result.dropped == ("linear.weight",)
    found = verify(before, result.program, result.changes, new_tensors=result.new_tensors)
    assert found.complete, found


def test_recipes_start_from_changed_weights() -> None:
    """The weight that was changed and then used up is no part of the program, but what it is made of is known."""
    before = program()
    result = rewrite_program(before, chosen_passes(None, [Swollen(), Doubled()]), verify=True)
    assert {made.key: made.intermediate for made in result.new_tensors} == {
        "linear.weight": True,
        "linear.weight_a": False,
    }
    assert result.dropped == ("linear.weight",)
    torch.testing.assert_close(values(result.program), values(run_passes(before, [Doubled()]).program))


def test_what_nothing_needs_is_not_kept() -> None:
    def unused(draft: Draft) -> None:
        draft.add_weight("spare", ["linear.weight"], lambda t: t["linear.weight"] + 1)

    assert run_passes(program(), [Broken(unused)], to_fixed_point=False).new_tensors == ()


def _relu(draft: Draft) -> torch.fx.Node:
    return next(draft.calls(aten.relu.default))


def _shape(draft: Draft) -> None:
    node = _relu(draft)
    draft.replace(node, draft.call(aten.sum.dim_IntList, node.args[0], [1], at=node), "shorter")


def _dtype(draft: Draft) -> None:
    node = _relu(draft)
    draft.replace(node, draft.call(aten.to.dtype, node.args[0], torch.float64, at=node), "wider")


def _result(draft: Draft) -> None:
    output = draft.graph.output_node()
    output.args = ((draft.call(aten.sum.default, _relu(draft), at=output),),)


def _number(draft: Draft) -> None:
    output = draft.graph.output_node()
    output.args = ((_relu(draft), _relu(draft)),)


def _order(draft: Draft) -> None:
    node = _relu(draft)
    linear = node.args[0]
    assert isinstance(linear, torch.fx.Node)
    node.append(linear)


def _raise(draft: Draft) -> None:
    raise KeyError("nothing by that name")


def _input(draft: Draft) -> None:
    (node,) = [n for n in draft.graph.find_nodes(op="placeholder") if draft.weight_key(n) is None]
    linear = next(draft.calls(aten.linear.default))
    weights = [arg for arg in linear.args[1:] if isinstance(arg, torch.fx.Node)]
    linear.args = (draft.call(aten.mul.Tensor, weights[0], 1, at=linear), *weights)
    draft.graph.erase_node(node)


def _arguments(draft: Draft) -> None:
    node = _relu(draft)
    draft.call(aten.matmul.default, node.args[0], draft.call(aten.sum.default, node, at=node), at=node)


def _writes(draft: Draft) -> None:
    node = _relu(draft)
    draft.replace(node, draft.call(aten.relu_.default, node.args[0], at=node), "in place")


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (_shape, r"broken replaces relu, float32 \(3, 8\), by sum_dim_int_list, float32 \(3,\)"),
        (_dtype, r"broken replaces relu, float32 \(3, 8\), by to_dtype, float64 \(3, 8\)"),
        (_result, r"broken replaces relu, float32 \(3, 8\), by sum_default, float32 \(\)"),
        (_number, "broken changed the number of results"),
        (_order, "broken left a broken graph: .*linear"),
        (_raise, "pass broken failed: KeyError: 'nothing by that name'"),
        (_input, "broken changed the inputs: x"),
        (_arguments, "pass broken: aten.matmul.default does not take these arguments"),
        (_writes, "broken made relu__default, which writes in place"),
    ],
    ids=lambda item: item.__name__.strip("_") if callable(item) else "",
)
def test_a_pass_that_breaks_its_contract_is_named(harm: Callable[[Draft], None], message: str) -> None:
    before = program()
    expected = values(before)
    for passes in ([Broken(harm)], [Spelled(), Named(), Broken(harm)][-1:]):
        with pytest.raises(GraphlabError, match=message):
            run_passes(before, passes)
    with pytest.raises(GraphlabError, match=message):
        Broken(harm).run(before)
    assert torch.equal(values(before, X), expected)
    assert calls(run_passes(before, [Spelled()]).program) == ["linear.default", "clamp_min.default"]


def test_a_wrong_value_is_named_with_its_node() -> None:
    def wrong(draft: Draft) -> None:
        for node in draft.calls(aten.relu.default):
            draft.replace(node, draft.call(aten.sigmoid.default, node.args[0], at=node), "nearly the same")

    before = program()
    assert run_passes(before, [Broken(wrong)]).modified
    with pytest.raises(VerificationError, match=r"pass broken broke relu, now sigmoid_default: relative error"):
        rewrite_program(before, chosen_passes(None, [Broken(wrong)]), verify=True)
