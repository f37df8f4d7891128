"""From rounds to a `CallProfile`, on times written down here."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import graphlab
from graphlab.measuring.interpret import Measured
from graphlab.measuring.stage import Captured, call_notes, call_profile
from graphlab.pipeline import Facts
from graphlab.report.profile_data import CallProfile
from tests.measuring.modules import planned


class Flat(nn.Module):
    """Size arithmetic, then two nodes: a view and a product."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(x.shape[0] * x.shape[1], 4) * 2


def profiled(nodes: list[tuple[float, float]], other: list[float], walls: list[float]) -> CallProfile:
    """The profile of rounds in which the nodes of Flat took `nodes`, everything else `other`, in `walls` seconds."""
    program = graphlab.capture(Flat(), (torch.ones(2, 3, 4),))
    plan, _ = planned(program)
    facts = Facts(program.graph, dict(program.graph.symbols))
    rounds = []
    for times, rest in zip(nodes, other, strict=True):
        left = iter(times)
        unnamed = sum(step.name is None for step in plan.steps)
        rounds.append(tuple(rest / unnamed if step.name is None else next(left) for step in plan.steps))
    measured = Measured(tuple(walls), tuple(rounds), (0.5, 0.7, 0.6))
    return call_profile(Captured(4, 2.5, program, facts, plan), measured, {"cache": 28})


def test_nodes_are_medians_and_coverage_is_that_of_a_round() -> None:
    call = profiled([(1.0, 4.0), (2.0, 6.0), (3.0, 5.0)], [0.5, 0.25, 1.0], [8.0, 10.0, 9.0])
    assert [(node.op, node.seconds) for node in call.nodes] == [("aten.reshape.default", 2.0), ("aten.mul.Tensor", 5.0)]
    assert [(node.low, node.high) for node in call.nodes] == [pytest.approx((1.2, 2.8)), pytest.approx((4.2, 5.8))]
    assert (call.step, call.times, call.rounds, call.bindings) == (4, 2.5, 3, {"cache": 28})
    assert (call.seconds, call.seconds_plain, call.seconds_attributed) == (9.0, 0.6, 7.0)
    assert call.coverage == pytest.approx(sorted([5 / 8, 8 / 10, 8 / 9])[1])
    assert call.seconds_unmapped == pytest.approx(0.5)


def test_size_arithmetic_is_not_covered() -> None:
    call = profiled([(1.0, 1.0)] * 3, [8.0] * 3, [10.0] * 3)
    assert call.coverage == pytest.approx(0.2)
    assert call_notes([call]) == ["only 20.0% of the wall time of step 4 falls on nodes: they are too short"]


def test_rounds_that_differ_are_noted_although_each_is_covered() -> None:
    call = profiled([(9.0, 1.0), (1.0, 9.0), (1.0, 1.0)], [0.0] * 3, [10.0, 10.0, 2.0])
    assert (call.coverage, call.seconds_attributed, call.seconds) == (1.0, 2.0, 10.0)
    (note,) = call_notes([call])
    assert note.startswith("the medians of the nodes of step 4 add up to 20.0% of the median wall time")


def test_steady_rounds_need_no_note() -> None:
    assert call_notes([profiled([(1.0, 8.75)] * 3, [0.0] * 3, [10.0] * 3)]) == []
