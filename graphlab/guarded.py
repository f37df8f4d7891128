"""Runs an analysis; one that is not graphlab's own is watched, and named when it goes wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from graphlab.discovery.blame import blamed
from graphlab.discovery.chosen import owner_of
from graphlab.discovery.owner import PluginError
from graphlab.graph import Graph
from graphlab.passes_base import Analysis, AnalysisInput
from graphlab.plugins import called, registry

T = TypeVar("T")


def run_analysis(analysis: Analysis[T], given: AnalysisInput) -> T:
    """The facts of `analysis` about `given`.

    One that is not graphlab's own is watched. PluginError, naming it and its distribution, when it raises, returns
    None, or changes a graph or the facts of another analysis.
    """
    owner = owner_of(type(analysis), registry())
    if owner is not None and owner.built_in:  # one defined on the spot is watched too
        return analysis.run(given)
    who = called(analysis)
    watched = _Watched(given)
    with blamed(who):
        facts = analysis.run(watched.given)
    changed = watched.changed()
    if changed is not None:
        raise PluginError(f"{who} changed {changed}", hint="an analysis reads; what it finds it returns")
    if facts is None:
        raise PluginError(f"{who} returned None, which is no fact", hint="return what `run` found")
    return facts


class _Watched:
    """`given` with graphs of its own, and the means to tell whether anything was written into."""

    def __init__(self, given: AnalysisInput) -> None:
        own: dict[int, Graph] = {}
        graphs = [given.symbolic, given.graph, given.example]
        for graph in graphs:
            own.setdefault(id(graph), _copy(graph))
        self._result = given.result
        self._graphs = [(graph, own[id(graph)], hash(graph.nodes)) for graph in graphs]
        self._packed = dict(given.packed)
        self._asked: dict[str, tuple[Any, int]] = {}
        symbolic, sized, example = (own[id(graph)] for graph in graphs)
        self.given = replace(
            given, symbolic=symbolic, graph=sized, example=example, result=self.result, packed=dict(given.packed)
        )

    def result(self, name: str) -> Any:
        """The facts of another analysis, remembered as they are now."""
        facts = self._result(name)
        self._asked.setdefault(name, (facts, hash(repr(facts))))
        return facts

    def changed(self) -> str | None:
        """What is no longer what it was; None where everything is."""
        for graph, copy, nodes in self._graphs:
            if _fields(graph) != _fields(copy) or hash(graph.nodes) != nodes or not _sound(copy):
                return "the graph it was given"
        if self._packed != self.given.packed:
            return "the packed axes it was given"
        return next((f"the facts of {n}" for n, (facts, was) in self._asked.items() if hash(repr(facts)) != was), None)


def _copy(graph: Graph) -> Graph:
    """The same nodes in a graph with tables of its own."""
    return Graph(graph.nodes, graph.results, dict(graph.symbols), graph.guards, dict(graph.ranges))


def _fields(graph: Graph) -> tuple[object, ...]:
    return graph.nodes, graph.results, dict(graph.symbols), graph.guards, dict(graph.ranges)


def _sound(graph: Graph) -> bool:
    """Whether the tables that a graph makes of its nodes, where they were made, still hold every node."""
    tables: tuple[Mapping[str, object], ...] = tuple(
        table for name in ("by_name", "users") if (table := vars(graph).get(name)) is not None
    )
    return all(list(table) == [node.name for node in graph.nodes] for table in tables)
