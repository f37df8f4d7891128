"""A stage too large to draw whole: modules become nodes, to the depth that fits, and nothing is lost from the sums."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace

from graphlab.errors import GraphlabError
from graphlab.report.group import Group
from graphlab.viewers.data import SEVERAL, DrawnEdge, DrawnNode, DrawnStage
from graphlab.viewers.paths import dominators

LEAST = 3
"""Nodes that any stage can be drawn with: its inputs, its calls, its outputs."""


def fitted(stage: DrawnStage, limit: int) -> DrawnStage:
    """`stage` with at most `limit` nodes, as it is where it has no more.

    Calls below a depth of modules are drawn as their module; where that is not enough, or leaves less to see, the
    calls of a module itself are drawn as one too, and so are all inputs and all outputs. Of the ways that fit, the one
    with most nodes is taken. Costs of a node are the sums of its calls'; edges between the same two nodes are one.
    GraphlabError for a limit under LEAST.
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < LEAST:
        raise GraphlabError(
            f"cannot draw a stage with {limit!r} nodes", hint=f"expected an integer of at least {LEAST}"
        )
    if len(stage.nodes) <= limit:
        return stage
    ways = [(depth, merged, _keys(stage.nodes, depth, merged)) for depth, merged in _ways(stage.nodes)]
    fitting = [way for way in ways if len(set(way[2])) <= limit]
    assert fitting, "a stage can be drawn as three nodes"
    depth, merged, keys = max(fitting, key=lambda way: len(set(way[2])))
    return _collapsed(stage, keys, depth, merged)


def _ways(nodes: Sequence[DrawnNode]) -> Iterator[tuple[int, bool]]:
    """(depth, whether calls of one module are merged), from the finest to the coarsest."""
    deepest = max((len(node.modules) for node in nodes), default=0)
    for merged in (False, True):
        for depth in range(deepest, -1, -1):
            yield depth, merged


def _keys(nodes: Sequence[DrawnNode], depth: int, merged: bool) -> list[Hashable]:
    return [_key(node, place, depth, merged) for place, node in enumerate(nodes)]


def _key(node: DrawnNode, place: int, depth: int, merged: bool) -> Hashable:
    """Equal for nodes that are drawn as one. A module used twice is one module; calls of no module are "()"."""
    if node.kind != "call":
        return node.kind if merged else place
    inside = node.modules[:depth]
    return inside if merged or len(node.modules) > depth else place


def _collapsed(stage: DrawnStage, keys: Sequence[Hashable], depth: int, merged: bool) -> DrawnStage:
    members: dict[Hashable, list[int]] = {}
    for place, key in enumerate(keys):
        members.setdefault(key, []).append(place)
    at = {key: place for place, key in enumerate(members)}
    nodes = [_merge([stage.nodes[place] for place in places], depth) for places in members.values()]
    between: dict[tuple[int, int], list[DrawnEdge]] = {}
    for edge in stage.edges:
        pair = at[keys[edge.producer]], at[keys[edge.consumer]]
        if pair[0] != pair[1]:
            between.setdefault(pair, []).append(edge)
    edges = tuple(_joined(pair, found) for pair, found in between.items())
    last = dominators(nodes, edges)
    drawn = tuple(replace(node, dominator=last[place]) for place, node in enumerate(nodes))
    note = f"{stage.calls} calls are drawn as {len(nodes)} nodes, collapsed by module to a depth of {depth}"
    note += ", the calls of a module itself among them" if merged else ""
    return replace(stage, nodes=drawn, edges=edges, depth=depth, merged=merged, notes=(*stage.notes, note))


def _joined(pair: tuple[int, int], edges: Sequence[DrawnEdge]) -> DrawnEdge:
    return DrawnEdge(*pair, sum(edge.values for edge in edges), any(edge.on_critical_path for edge in edges))


def _merge(nodes: Sequence[DrawnNode], depth: int) -> DrawnNode:
    first = nodes[0]
    if len(nodes) == 1:
        return first
    modules = first.modules[:depth]
    return DrawnNode(
        name=_name(first, len(nodes), modules),
        kind="module" if first.kind == "call" else first.kind,
        modules=modules,
        cost=sum((node.cost for node in nodes), Group()),
        category=_common(node.category for node in nodes),
        role=_common(node.role for node in nodes),
        op=_common(node.op for node in nodes),
        source=_common(node.source for node in nodes),
        weights=tuple(dict.fromkeys(key for node in nodes for key in node.weights)),
        members=tuple(name for node in nodes for name in node.members),
        on_critical_path=any(node.on_critical_path for node in nodes),
    )


def _name(first: DrawnNode, count: int, modules: tuple[tuple[str, str], ...]) -> str:
    if first.kind != "call":
        return f"{count} {first.kind}s"
    return (modules[-1][0] or modules[-1][1] if modules else "") or "calls"


def _common(values: Iterator[str]) -> str:
    found = dict.fromkeys(value for value in values if value)
    return next(iter(found), "") if len(found) < 2 else SEVERAL
