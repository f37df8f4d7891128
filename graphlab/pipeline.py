"""Runs analyses over one graph, each once, in whatever order they ask for each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from graphlab.errors import GraphlabError
from graphlab.graph import Graph
from graphlab.guarded import run_analysis
from graphlab.passes_base import Analysis, AnalysisInput
from graphlab.plugins import own_pass

T = TypeVar("T")


class Facts:
    """The facts about one graph at one set of sizes; an analysis runs when its result is first asked for."""

    def __init__(
        self,
        symbolic: Graph,
        values: Mapping[str, int],
        packed: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        self.symbolic = symbolic
        self.graph = symbolic.at(values)
        self.values = dict(values)
        self._results: dict[str, Any] = {}
        self._running: list[str] = []
        example = self.graph if self.values == dict(symbolic.symbols) else symbolic.at(symbolic.symbols)
        self._given = AnalysisInput(symbolic, self.graph, example, self.result, packed or {})

    def result(self, name: str) -> Any:
        """What the analysis `name` returns for this graph."""
        if name not in self._results:
            if name in self._running:
                raise GraphlabError(f"analyses need each other in a circle: {' -> '.join([*self._running, name])}")
            kind = own_pass(name)
            if not issubclass(kind, Analysis):
                raise GraphlabError(f"pass {name!r} is not an analysis")
            self._running.append(name)
            try:
                self._results[name] = run_analysis(_plain(kind), self._given)
            finally:
                self._running.pop()
        return self._results[name]

    def of(self, analysis: Analysis[T]) -> T:
        """What `analysis`, made with options of its own, says of this graph; it is not kept."""
        return run_analysis(analysis, self._given)

    def at(self, values: Mapping[str, int]) -> Facts:
        """Facts about the same graph at other sizes; what does not depend on sizes is kept."""
        moved = Facts(self.symbolic, values, self._given.packed)
        kept = {n: r for n, r in self._results.items() if not _sized(n)}
        moved._results.update(kept)
        return moved


def _plain(kind: type[Analysis[Any]]) -> Analysis[Any]:
    try:
        return kind()
    except TypeError as error:
        raise GraphlabError(
            f"pass {kind.name} has options that must be given", hint="ask for an instance of it"
        ) from error


def _sized(name: str) -> bool:
    kind = own_pass(name)
    return not issubclass(kind, Analysis) or kind.sized
