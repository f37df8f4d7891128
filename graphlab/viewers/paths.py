"""Critical path and dominators of what is drawn, found by networkx."""

from __future__ import annotations

from collections.abc import Sequence

import networkx as nx

from graphlab.viewers.data import CriticalPath, DrawnEdge, DrawnNode

_ROOT = -1
"""A node before every other one: networkx asks for one start."""


def critical_path(nodes: Sequence[DrawnNode], edges: Sequence[DrawnEdge]) -> tuple[CriticalPath, list[int]]:
    """(the costliest chain of `nodes`, their places in order).

    Costs are ideal seconds where any is known, FLOPs otherwise. What is unknown costs nothing, so the chain is one of
    what is known. Of equal chains networkx takes one.
    """
    timed = any(node.cost.seconds is not None for node in nodes)
    costs = [(node.cost.seconds or 0.0) if timed else float(node.cost.flops or 0) for node in nodes]
    graph = _rooted(len(nodes), edges)
    for _, consumer, facts in graph.edges(data=True):
        facts["cost"] = costs[consumer]
    chain = [place for place in nx.dag_longest_path(graph, weight="cost") if place != _ROOT] if any(costs) else []
    length = sum(costs[place] for place in chain)
    calls = sum(nodes[place].kind == "call" for place in chain)
    return CriticalPath("seconds" if timed else "flops", length, sum(costs), calls), chain


def dominators(nodes: Sequence[DrawnNode], edges: Sequence[DrawnEdge]) -> list[int | None]:
    """For each of `nodes` its immediate dominator: the last other node that every path from the inputs to it passes.

    None where there is no such node: for inputs, for what several inputs reach on ways of their own, and for what no
    input reaches. Without inputs, paths start wherever nothing comes in. `edges` may form circles, as between modules.
    """
    inputs = [place for place, node in enumerate(nodes) if node.kind == "input"]
    found = nx.immediate_dominators(_rooted(len(nodes), edges, inputs), _ROOT)
    last = [found.get(place) for place in range(len(nodes))]
    return [place if place != _ROOT else None for place in last]


def _rooted(count: int, edges: Sequence[DrawnEdge], first: Sequence[int] = ()) -> nx.DiGraph:
    """The graph with a node before those of `first`, or before all that nothing comes into."""
    graph = nx.DiGraph()
    graph.add_nodes_from(range(count))
    graph.add_edges_from((edge.producer, edge.consumer) for edge in edges)
    starts = first or [place for place in range(count) if not graph.in_degree(place)]
    graph.add_node(_ROOT)
    graph.add_edges_from((_ROOT, place) for place in starts)
    return graph
