"""The flat plan computes what the exported program computes, frees what nobody reads, and names its nodes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils import _pytree

import graphlab
from graphlab.errors import GraphlabError
from graphlab.graph import Graph
from graphlab.measuring.interpret import run_once
from graphlab.measuring.plan import plan
from graphlab.measuring.templates import Slot, resolver, slots_in
from tests.measuring.modules import CPU, Mixed, captured, planned, real_arguments, real_module

X = torch.arange(48, dtype=torch.float32).reshape(2, 3, 8) / 48


def same(left: Any, right: Any) -> bool:
    pairs = zip(_pytree.tree_leaves(left), _pytree.tree_leaves(right), strict=True)
    return all(torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b for a, b in pairs)


def test_the_plan_computes_what_the_program_does() -> None:
    program = captured(Mixed(), X)
    steps, weights = planned(program)
    assert program.exported is not None
    found = run_once(steps, steps.slots(weights, {"x": X.clone()}))
    assert same(found, program.exported.module()(X.clone()))


STAGES = [
    ("stable-diffusion-v1-5-tiny", "unet"),
    ("llama-2-7b-tiny", "prefill"),
    ("llama-2-7b-tiny", "decode"),
    ("cogvideox-2b-tiny", "text_encoder"),
    ("cogvideox-2b-tiny", "transformer"),
]


@pytest.mark.parametrize(("source", "name"), STAGES)
def test_stages_give_the_same_bits_as_their_exported_program(source: str, name: str) -> None:
    workload = graphlab.load(source)
    stage = workload.stage(name)
    arguments = real_arguments(stage, workload.step_values(stage, 0))
    program = captured(real_module(stage), **arguments)
    steps, weights = planned(program)
    assert program.exported is not None
    leaves = [leaf for leaf in _pytree.tree_leaves(arguments) if isinstance(leaf, torch.Tensor)]
    given = dict(zip([node.name for node in program.graph.inputs], leaves, strict=True))
    found = run_once(steps, steps.slots(weights, given))
    with torch.inference_mode():
        expected = program.exported.module()(**arguments)
    assert same(found, expected)
    assert all(leaf.isfinite().all() for leaf in _pytree.tree_leaves(found) if isinstance(leaf, torch.Tensor))


def test_every_call_of_the_graph_is_a_step_in_order() -> None:
    program = captured(Mixed(), X)
    steps, _ = planned(program)
    assert [step.name for step in steps.steps if step.name] == [node.name for node in program.graph.calls]
    assert {step.op for step in steps.steps} >= {"aten.linear.default", "aten.cat.default", "aten.mul_.Tensor"}


def test_nothing_is_left_but_what_was_given_and_what_comes_out() -> None:
    program = captured(Mixed(), X)
    steps, weights = planned(program)
    slots = steps.slots(weights, {"x": X.clone()})
    given = {index for index, value in enumerate(slots) if value is not None}
    for step in steps.steps:
        step.run(slots)
    left = {index for index, value in enumerate(slots) if value is not None}
    assert left == given | {slot.index for slot in slots_in(steps.results)}
    assert any(step.frees for step in steps.steps)


def test_freeing_changes_no_result() -> None:
    program = captured(Mixed(), X)
    steps, weights = planned(program)
    hoarding = steps.slots(weights, {"x": X.clone()})
    kept: dict[int, Any] = {}
    for step in steps.steps:
        step.run(hoarding)
        kept.update({i: v.clone() for i, v in enumerate(hoarding) if isinstance(v, torch.Tensor)})
    found = run_once(steps, steps.slots(weights, {"x": X.clone()}))
    assert same(found, steps.outputs([kept.get(index) for index in range(steps.size)]))


def test_a_capture_on_the_meta_device_runs_on_the_cpu() -> None:
    class Positions(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + torch.arange(x.shape[-1], device=x.device)

    program = captured(Positions(), torch.empty(2, 5, device="meta"))
    steps, weights = planned(program)
    found = run_once(steps, steps.slots(weights, {"x": torch.zeros(2, 5)}))
    assert torch.equal(found[0], torch.arange(5.0).expand(2, 5))


def test_size_arithmetic_runs_and_is_no_node() -> None:
    class Flat(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.reshape(x.shape[0] * x.shape[1], 4) * 2

    program = graphlab.capture(Flat(), (torch.ones(2, 3, 4),))
    assert program.graph.symbols
    steps, weights = planned(program)
    assert sum(step.name is None for step in steps.steps) >= 1
    found = run_once(steps, steps.slots(weights, {"x": torch.ones(5, 7, 4)}))
    assert torch.equal(found[0], torch.full((35, 4), 2.0))


def test_regions_of_autocast_keep_their_dtype() -> None:
    class Lower(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                low = self.linear(x)
                with torch.autocast("cpu", enabled=False):
                    high = self.linear(x)
            return low, high

    program = captured(Lower(), torch.ones(2, 4))
    steps, weights = planned(program)
    low, high = run_once(steps, steps.slots(weights, {"x": torch.ones(2, 4)}))
    assert (low.dtype, high.dtype) == (torch.bfloat16, torch.float32)


@pytest.mark.parametrize("extra", [True, False], ids=["graph-has-more", "graph-has-less"])
def test_a_graph_of_another_program_is_refused(extra: bool) -> None:
    program = captured(Mixed(), X)
    assert program.exported is not None
    nodes = program.graph.nodes
    other = (*nodes, replace(nodes[-1], name="ghost")) if extra else nodes[:-4]
    if extra:
        with pytest.raises(GraphlabError, match="no call for node ghost"):
            plan(program.exported, Graph(other, program.graph.results), CPU)
    else:
        steps = plan(program.exported, Graph(other, program.graph.results), CPU)
        assert sum(step.name is None for step in steps.steps) >= 1


def test_templates_fill_in_slots_wherever_they_are() -> None:
    template = (1, Slot(0), [Slot(1), (Slot(0), "a")], {"k": Slot(1), "c": 2})
    assert resolver(template)(["x", "y"]) == (1, "x", ["y", ("x", "a")], {"k": "y", "c": 2})
    assert resolver([])([]) == []
    assert [slot.index for slot in slots_in(template)] == [0, 1, 0, 1]
