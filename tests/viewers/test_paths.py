"""Critical path and dominators against their definitions, on small graphs."""

from __future__ import annotations

import math
from itertools import combinations

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st

from graphlab.report.group import Group
from graphlab.viewers.data import DrawnEdge, DrawnNode
from graphlab.viewers.paths import critical_path, dominators

COSTS = st.lists(st.integers(0, 5), min_size=1, max_size=7)


def nodes(costs: list[int], inputs: int = 0) -> list[DrawnNode]:
    return [
        DrawnNode(str(place), "input" if place < inputs else "call", cost=Group(1, flops=cost))
        for place, cost in enumerate(costs)
    ]


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[int], list[DrawnEdge]]:
    costs = draw(COSTS)
    pairs = list(combinations(range(len(costs)), 2))
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    return costs, [DrawnEdge(*pair) for pair in chosen]


def chains(count: int, edges: list[DrawnEdge]) -> list[tuple[int, ...]]:
    """Every chain of nodes, single ones among them."""
    found = [(place,) for place in range(count)]
    for chain in found:
        found.extend((*chain, edge.consumer) for edge in edges if edge.producer == chain[-1])
    return found


@given(graphs())
def test_the_critical_path_is_the_costliest_chain(given_graph: tuple[list[int], list[DrawnEdge]]) -> None:
    costs, edges = given_graph
    path, places = critical_path(nodes(costs), edges)
    best = max(sum(costs[place] for place in chain) for chain in chains(len(costs), edges))
    assert path.length == best == sum(costs[place] for place in places)
    assert path.total == sum(costs)
    assert tuple(places) in chains(len(costs), edges) or (not best and not places)
    assert path.parallelism is None if not best else math.isclose(path.parallelism or 0, sum(costs) / best)


@given(graphs(), st.integers(1, 3))
def test_an_immediate_dominator_is_on_every_way_from_the_inputs(
    given_graph: tuple[list[int], list[DrawnEdge]], inputs: int
) -> None:
    costs, edges = given_graph
    first = min(inputs, len(costs))
    graph = nx.DiGraph([(edge.producer, edge.consumer) for edge in edges])
    graph.add_nodes_from(range(len(costs)))
    for place, found in enumerate(dominators(nodes(costs, first), edges)):
        ways = [set(way) for start in range(first) for way in nx.all_simple_paths(graph, start, place)] if place else []
        if place < first:
            ways = []  # a way starts there
        common = set.intersection(*ways) - {place} if ways else set()
        assert (found in common) if common else found is None
        if common:
            assert all(other == found or nx.has_path(graph, other, found) for other in common)


def test_seconds_go_before_flops() -> None:
    made = [DrawnNode("a", "call", cost=Group(1, flops=9, seconds=1.0)), DrawnNode("b", "call", cost=Group(1, flops=1))]
    path, places = critical_path(made, [])
    assert (path.measure, path.length, places) == ("seconds", 1.0, [0])


def test_modules_in_a_circle_have_dominators() -> None:
    edges = [DrawnEdge(0, 1), DrawnEdge(1, 2), DrawnEdge(2, 1), DrawnEdge(2, 3)]
    assert dominators(nodes([0, 1, 1, 1], 1), edges) == [None, 0, 1, 2]


def test_nothing_at_all() -> None:
    path, places = critical_path([], [])
    assert (path.length, path.total, path.parallelism, places) == (0, 0, None, [])
    assert dominators([], []) == []
