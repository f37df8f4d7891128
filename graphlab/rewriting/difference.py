"""Which regions of a graph a rewrite changed, as text: the calls that are gone and those that are new."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch

from graphlab.program import Program
from graphlab.report.rewrite_data import Reason, RegionGroup, pattern
from graphlab.rewriting.change import Change
from graphlab.rewriting.draft import where
from graphlab.rewriting.functional import functional
from graphlab.rewriting.result import RewriteResult


def regions(before: Program, result: RewriteResult) -> tuple[RegionGroup, ...]:
    """The regions in which `result` differs from `before`, alike ones counted, in the order of the graph.

    A region is what hangs together of the calls that are gone, the calls that are new, and the changes between them.
    Programs that wrote in place are compared from where nothing does.
    """
    assert before.exported is not None
    assert result.program.exported is not None
    left, right = functional(before.exported).graph, result.program.exported.graph
    old, new = _calls(left), _calls(right)
    rewired = {old for change in result.changes for old, new in change.values if old == new}
    stays = {name for name, node in old.items() if name in new and name not in rewired and _same(node, new[name])}
    gone = {name: node for name, node in old.items() if name not in stays}
    made = {name: node for name, node in new.items() if name not in stays}
    known = {node.name for graph in (left, right) for node in graph.nodes}
    joined = _Joined()
    for side, nodes in (("-", gone), ("+", made)):
        for name, node in nodes.items():
            joined.join((side, name), *((side, item.name) for item in node.all_input_nodes if item.name in nodes))
    for index, change in enumerate(result.changes):
        names = dict.fromkeys(name for pair in change.values for name in pair if name)
        ends = [(side, name) for side, nodes in (("-", gone), ("+", made)) for name in names if name in nodes]
        between = [("between", name) for name in names if name not in known]  # came and went between two passes
        joined.join(("change", index), *ends, *between)
    return _grouped(joined.groups(), gone, made, result.changes)


def _calls(graph: torch.fx.Graph) -> dict[str, torch.fx.Node]:
    return {node.name: node for node in graph.nodes if node.op == "call_function"}


def _same(a: torch.fx.Node, b: torch.fx.Node) -> bool:
    """Whether two calls differ in nothing but the names of what they read."""
    if a.target != b.target:
        return False
    forms = [str(torch.fx.map_arg((node.args, node.kwargs), lambda item: "_")) for node in (a, b)]
    return forms[0] == forms[1]


class _Joined:
    """Sets that grow together: union-find over hashable items, in the order they came."""

    def __init__(self) -> None:
        self.parent: dict[tuple[str, Any], tuple[str, Any]] = {}

    def _root(self, item: tuple[str, Any]) -> tuple[str, Any]:
        self.parent.setdefault(item, item)
        while self.parent[item] != item:
            self.parent[item] = self.parent[self.parent[item]]
            item = self.parent[item]
        return item

    def join(self, first: tuple[str, Any], *others: tuple[str, Any]) -> None:
        root = self._root(first)
        for other in others:
            self.parent[self._root(other)] = root

    def groups(self) -> list[list[tuple[str, Any]]]:
        found: dict[tuple[str, Any], list[tuple[str, Any]]] = {}
        for item in list(self.parent):
            found.setdefault(self._root(item), []).append(item)
        return list(found.values())


def _grouped(
    groups: Iterable[list[tuple[str, Any]]],
    gone: Mapping[str, torch.fx.Node],
    made: Mapping[str, torch.fx.Node],
    changes: tuple[Change, ...],
) -> tuple[RegionGroup, ...]:
    """Equal regions as one, with the lines of the first."""
    found: dict[tuple[Any, ...], tuple[RegionGroup, int]] = {}
    for items in groups:
        left, right = _of(items, "-", gone), _of(items, "+", made)
        own = [changes[index] for side, index in sorted(i for i in items if i[0] == "change")]
        if not own and not left and not right:
            continue
        group = _region(left, right, own)
        key = (group.module, _numberless(group.reasons), _targets(left), _targets(right))
        first, count = found.get(key, (group, 0))
        found[key] = (first, count + 1)
    return tuple(RegionGroup(g.module, g.sources, g.reasons, g.before, g.after, count) for g, count in found.values())


def _of(items: Iterable[tuple[str, Any]], side: str, nodes: Mapping[str, torch.fx.Node]) -> list[torch.fx.Node]:
    """The nodes of one side of a region in execution order."""
    return sorted((nodes[name] for kind, name in items if kind == side), key=lambda node: node._sort_key)


def _region(left: list[torch.fx.Node], right: list[torch.fx.Node], own: list[Change]) -> RegionGroup:
    modules = [change.module for change in own] or [where(node)[0] for node in (*left, *right)]
    sources = dict.fromkeys(change.source for change in own if change.source)
    reasons = dict.fromkeys(Reason(change.pass_name, change.why) for change in own)
    return RegionGroup(
        module=_common(modules),
        sources=tuple(sources),
        reasons=tuple(reasons),
        before=tuple(map(line, left)),
        after=tuple(map(line, right)),
        count=1,
    )


def _common(modules: list[str]) -> str:
    """The pattern of the innermost module that holds all of `modules`."""
    paths = [module.split(".") for module in dict.fromkeys(modules)]
    shared = []
    for names in zip(*paths, strict=False):
        if len(set(names)) > 1:
            break
        shared.append(names[0])
    return pattern(".".join(shared))


def _numberless(reasons: tuple[Reason, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((reason.pass_name, re.sub(r"\d+", "#", reason.why)) for reason in reasons)


def _targets(nodes: list[torch.fx.Node]) -> tuple[str, ...]:
    return tuple(str(node.target) for node in nodes)


def line(node: torch.fx.Node) -> str:
    """ "matmul_1 = aten.matmul(query, key)": a call as one would write it."""
    target = getattr(node.target, "_schema", None)
    if target is None:
        name = getattr(node.target, "__name__", str(node.target))
    else:
        name = target.name.replace("::", ".")
    named = [f"{key}={_shown(value)}" for key, value in node.kwargs.items()]
    return f"{node.name} = {name}({', '.join([*map(_shown, node.args), *named])})"


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, str) else str(value)
