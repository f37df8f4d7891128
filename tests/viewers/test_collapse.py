"""Collapsing by module: it fits, and nothing is lost from the sums."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphlab.errors import GraphlabError
from graphlab.report.group import Group
from graphlab.viewers.collapse import fitted
from graphlab.viewers.data import CriticalPath, DrawnEdge, DrawnNode, DrawnStage
from tests.viewers.sample import diffusion, hostile

MODULES = st.lists(st.sampled_from(["a", "b"]), max_size=4)
COST = st.builds(
    Group,
    st.just(1),
    st.integers(0, 10**15),
    st.integers(0, 10**12),
    st.integers(0, 10**12),
    st.integers(0, 1),
    st.none() | st.floats(0, 1),
)


@st.composite
def stages(draw: st.DrawFn) -> DrawnStage:
    count = draw(st.integers(0, 12))
    made: list[DrawnNode] = []
    for place in range(count):
        kind = draw(st.sampled_from(["call", "call", "call", "input", "output"]))
        path = draw(MODULES) if kind == "call" else []
        stack = tuple((".".join(path[:depth]), "M") for depth in range(1, len(path) + 1))
        cost = draw(COST) if kind == "call" else Group()
        made.append(DrawnNode(f"n{place}", kind, stack, cost, members=(f"n{place}",) if kind == "call" else ()))
    pairs = [(a, b) for b in range(count) for a in range(b)]
    edges = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    calls = sum(node.kind == "call" for node in made)
    return DrawnStage(
        "s", tuple(made), tuple(DrawnEdge(*pair) for pair in edges), calls, 1, 1, "float32",
        CriticalPath("flops", 0, 0, 0),
    )  # fmt: skip


def total(stage: DrawnStage) -> Group:
    return sum((node.cost for node in stage.nodes), Group())


@given(stages(), st.integers(3, 12))
def test_it_fits_and_sums_are_the_same(stage: DrawnStage, limit: int) -> None:
    found = fitted(stage, limit)
    before, after = total(stage), total(found)
    assert len(found.nodes) <= limit
    for name in ("nodes", "flops", "pointwise_flops", "bytes", "unknown"):
        assert getattr(before, name) == getattr(after, name)
    assert (before.seconds is None) == (after.seconds is None)
    assert math.isclose(before.seconds or 0, after.seconds or 0, rel_tol=1e-12)
    members = [name for node in found.nodes for name in node.members]
    assert Counter(members) == Counter(name for node in stage.nodes for name in node.members)


@given(stages(), st.integers(3, 12))
def test_edges_are_those_between_the_nodes(stage: DrawnStage, limit: int) -> None:
    found = fitted(stage, limit)
    if found is stage:
        return
    home = {name: place for place, node in enumerate(found.nodes) for name in node.members}
    between: Counter[tuple[int, int]] = Counter()
    for edge in stage.edges:
        ends = [stage.nodes[edge.producer], stage.nodes[edge.consumer]]
        if all(node.kind == "call" for node in ends):
            between[home[ends[0].name], home[ends[1].name]] += 1
    drawn = {
        (edge.producer, edge.consumer): edge.values
        for edge in found.edges
        if found.nodes[edge.producer].members and found.nodes[edge.consumer].members
    }
    assert drawn == {pair: count for pair, count in between.items() if pair[0] != pair[1]}
    assert all(edge.producer != edge.consumer for edge in found.edges)


def test_what_fits_stays_as_it_is() -> None:
    (stage,) = hostile().stages
    assert fitted(stage, len(stage.nodes)) is stage
    assert fitted(stage, len(stage.nodes) - 1) is not stage


@pytest.mark.parametrize("limit", [3, 20, 100, 400])
def test_a_model_is_collapsed_by_module_and_says_so(limit: int) -> None:
    stage = diffusion().stages[1]
    found = fitted(stage, limit)
    assert stage.name == "unet"
    assert len(found.nodes) <= limit
    assert total(found).flops == total(stage).flops > 0
    assert f"{stage.calls} calls are drawn as {len(found.nodes)} nodes" in found.notes[-1]
    assert found.depth is not None
    assert all(len(node.modules) <= found.depth for node in found.nodes if node.kind == "module")
    assert sum(node.on_critical_path for node in found.nodes) <= sum(node.on_critical_path for node in stage.nodes)


def test_more_room_never_draws_less() -> None:
    stage = diffusion().stages[1]
    counts = [len(fitted(stage, limit).nodes) for limit in (3, 10, 30, 100, 300, 1000)]
    assert counts == sorted(counts)
    assert counts[-1] == len(stage.nodes)


def test_calls_of_no_module_become_one() -> None:
    made = tuple(DrawnNode(f"n{n}", "call", (), Group(1, 2)) for n in range(9))
    stage = DrawnStage("s", made, (), 9, 1, 1, "float32", CriticalPath("flops", 0, 0, 0))
    (node,) = fitted(stage, 3).nodes
    assert (node.name, node.kind, node.cost.flops, node.cost.nodes) == ("calls", "module", 18, 9)


@pytest.mark.parametrize("limit", [2, 0, -1, True, 3.5])
def test_a_limit_too_small_is_an_error(limit: int) -> None:
    with pytest.raises(GraphlabError, match="expected an integer"):
        fitted(hostile().stages[0], limit)
