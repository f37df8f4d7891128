"""Drafts: private graphs over shared weights, edits that keep shapes, and the account of them."""

from __future__ import annotations

import operator

import pytest
import torch
from torch import nn
from torch.export.graph_signature import InputKind

from graphlab.errors import GraphlabError
from graphlab.program import Program
from graphlab.rewriting.draft import Draft
from graphlab.sources.module import capture
from tests.rewriting.toys import X, aten, calls, program, values


class Tied(nn.Module):
    """One weight under two names, a buffer, a weight nobody reads, and three results."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Linear(8, 8, bias=False)
        self.head = nn.Linear(8, 8, bias=False)
        self.head.weight = self.table.weight
        self.unread = nn.Parameter(torch.ones(2))
        self.register_buffer("shift", torch.full((8,), 0.5))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        low, high = self.table(x).chunk(2, -1)
        return low, high, self.head(x + self.shift)


def draft(found: Program | None = None) -> Draft:
    made = Draft(found or program())
    made.pass_name = "edit"
    return made


def relu(made: Draft) -> torch.fx.Node:
    return next(made.calls(aten.relu.default))


def test_an_untouched_draft_is_the_program() -> None:
    before = program(Tied())
    result = draft(before).finish()
    assert not result.modified
    assert result.program.graph == before.graph
    assert result.dropped == ()
    assert result.program.exported is not None
    assert before.exported is not None
    assert result.program.exported.state_dict.keys() == before.exported.state_dict.keys()
    assert all(result.program.exported.state_dict[k] is v for k, v in before.exported.state_dict.items())


def test_the_program_given_stays_as_it_is() -> None:
    before = program()
    made = draft(before)
    node = relu(made)
    made.replace(node, made.call(aten.clamp_min.default, node.args[0], 0, at=node), "why")
    result = made.finish()
    assert calls(before) == ["linear.default", "relu.default"]
    assert calls(result.program) == ["linear.default", "clamp_min.default"]
    assert torch.equal(values(before), values(result.program))
    (change,) = result.changes
    assert (change.pass_name, change.values, change.why) == ("edit", (("relu", "clamp_min_default"),), "why")


def test_no_exported_program_is_an_error() -> None:
    before = program()
    with pytest.raises(GraphlabError, match="has no exported program behind it"):
        Draft(Program(before.name, before.graph))


def test_new_nodes_take_place_and_fake_value() -> None:
    made = draft()
    node = relu(made)
    new = made.call(aten.exp.default, node.args[0], at=node)
    assert new.meta["nn_module_stack"] == node.meta["nn_module_stack"]
    assert new.meta["val"].shape == node.meta["val"].shape
    with pytest.raises(GraphlabError, match=r"aten.matmul.default does not take these arguments"):
        made.call(aten.matmul.default, node, node, at=node)


@pytest.mark.parametrize("same", ["shape", "dtype", "kind"])
def test_another_value_is_refused(same: str) -> None:
    made = draft()
    node = relu(made)
    other = {
        "shape": lambda: made.call(aten.sum.dim_IntList, node.args[0], [0], at=node),
        "dtype": lambda: made.call(aten.to.dtype, node.args[0], torch.half, at=node),
        "kind": lambda: made.call(aten.chunk.default, node.args[0], 2, at=node),
    }[same]()
    with pytest.raises(GraphlabError, match="edit replaces relu"):
        made.replace(node, other, "no")


def test_sizes_are_numbers_or_nodes_that_are_made_once() -> None:
    found = capture(nn.ReLU(), (torch.ones(3, 8),), dynamic={"input": {0: torch.export.Dim.AUTO}})
    made = draft(found)
    node = relu(made)
    assert made.size(node, -1) == 8
    read = made.size(node, 0)
    assert isinstance(read, torch.fx.Node)
    assert made.size(node, 0) is read
    assert made.shape(node) == [read, 8]
    assert made.product([2, 3], at=node) == 6
    assert made.product([1, read], at=node) is read


def test_weights_are_found_by_key_and_new_ones_take_their_place() -> None:
    before = program()
    made = draft(before)
    linear = next(made.calls(aten.linear.default))
    weight, bias = linear.args[1:]
    assert isinstance(weight, torch.fx.Node)
    assert isinstance(bias, torch.fx.Node)
    assert (made.weight_key(weight), made.weight_key(bias), made.weight_key(linear)) == (
        "linear.weight",
        "linear.bias",
        None,
    )
    new = made.add_weight("twice", ["linear.bias"], lambda t: t["linear.bias"] * 2)
    mean = made.add_constant("one", lambda t: torch.ones(8))
    made.rewire(linear, (linear.args[0], weight, made.call(aten.div.Tensor, made.call(aten.add.Tensor, new, made.call(
        aten.sub.Tensor, mean, mean, at=linear), at=linear), 2, at=linear)), "another bias")  # fmt: skip
    result = made.finish()
    assert torch.equal(values(result.program), values(before))
    assert [(t.key, t.nbytes, t.origins) for t in result.new_tensors] == [
        ("twice", 32, ("linear.bias",)),
        ("one", 32, ()),
    ]
    assert result.dropped == ("linear.bias",)
    assert result.program.exported is not None
    kinds = {s.target: s.kind for s in result.program.exported.graph_signature.input_specs}
    assert kinds["twice"] is InputKind.PARAMETER
    assert kinds["one"] is InputKind.CONSTANT_TENSOR
    with pytest.raises(GraphlabError, match=r"already has a weight linear.weight"):
        made.add_weight("linear.weight", ["linear.weight"], lambda t: t["linear.weight"])
    with pytest.raises(GraphlabError, match="there is no weight lost to make x of"):
        made.add_weight("x", ["lost"], lambda t: t["lost"])


def test_a_tied_weight_stays_while_one_name_is_read_and_what_nobody_read_stays() -> None:
    before = program(Tied())
    made = draft(before)
    last = list(made.calls(aten.linear.default))[-1]
    first = next(made.calls(aten.linear.default))
    made.rewire(last, (last.args[0], first.args[1]), "one weight")
    result = made.finish()
    assert result.program.exported is not None
    assert "unread" in result.program.exported.state_dict
    assert values_of(result.program)[2].shape == (3, 8)
    for a, b in zip(values_of(before), values_of(result.program), strict=True):
        assert torch.equal(a, b)


def values_of(found: Program) -> tuple[torch.Tensor, ...]:
    assert found.exported is not None
    with torch.no_grad():
        result: tuple[torch.Tensor, ...] = found.exported.module(check_guards=False)(X)
    return result


def test_changed_weights_are_new_tensors_and_keep_shape_and_dtype() -> None:
    before = program()
    made = draft(before)
    with pytest.raises(GraphlabError, match=r"linear.bias is float32 \(8,\), its new value float64 \(8,\)"):
        made.set_weights(["linear.bias"], lambda t: t["linear.bias"].double(), "wider")
    with pytest.raises(GraphlabError, match=r"the new value of linear.bias is written into the old one"):
        made.set_weights(["linear.bias"], lambda t: t["linear.bias"], "the same")
    with pytest.raises(GraphlabError, match="the program has no weight lost to change"):
        made.set_weights(["lost"], lambda t: t["lost"], "nothing")
    made.set_weights(["linear.bias"], lambda t: t["linear.bias"] + 1, "more")
    made.set_weights(["linear.bias"], lambda t: t["linear.bias"] * 2, "twice")
    result = made.finish()
    assert before.exported is not None
    assert result.program.exported is not None
    old = before.exported.state_dict["linear.bias"]
    assert torch.equal(result.program.exported.state_dict["linear.bias"], (old + 1) * 2)
    (tensor,) = result.new_tensors
    assert torch.equal(tensor.make({"linear.bias": old}), (old + 1) * 2)


def test_unread_calls_go_and_placeholders_of_inputs_stay() -> None:
    made = draft()
    node = relu(made)
    spare = made.call(aten.exp.default, made.call(aten.neg.default, node, at=node.next), at=node.next)
    made.erase_dead(spare)
    assert [n.name for n in made.calls()] == ["linear", "relu"]
    made.call(aten.exp.default, node, at=node.next)
    made.sweep()
    assert [n.name for n in made.calls()] == ["linear", "relu"]


def test_results_of_operators_with_several_are_items() -> None:
    made = draft()
    node = relu(made)
    parts = made.call(aten.chunk.default, node.args[0], 2, -1, at=node)
    items = [made.item(parts, index, at=node) for index in range(2)]
    assert [item.target for item in items] == [operator.getitem] * 2
    made.replace(
        node, made.call(aten.relu.default, made.call(aten.cat.default, items, -1, at=node), at=node), "in parts"
    )
    before = program()
    assert torch.equal(values(made.finish().program), values(before))


def test_skips_say_where() -> None:
    made = draft()
    made.skip(relu(made), "it is fine")
    (skip,) = made.finish().skips
    assert (skip.pass_name, skip.node, skip.why) == ("edit", "relu", "it is fine")
    assert skip.source.startswith("toys.py:")
