"""Size symbols of an exported program under the names its graph gives them ("sample.d2")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy
import torch

from graphlab.graph import Graph
from graphlab.hoisting.sizes import plain_axes


class Symbols:
    """{torch's symbol: name} of the inputs of `graph`."""

    def __init__(self, graph: torch.fx.Graph) -> None:
        self.names: dict[sympy.Symbol, str] = {}
        for node in graph.find_nodes(op="placeholder"):
            for symbol, dim in plain_axes(node.meta.get("val")):
                self.names.setdefault(symbol, f"{node.name}.d{dim}")

    def text(self, size: Any) -> int | str:
        """A size as an int, or as text over the names."""
        if isinstance(size, int):
            return size
        shown = {s: sympy.Symbol(name, integer=True, positive=True) for s, name in self.names.items()}
        named = size.node.expr.xreplace(shown)
        return int(named) if named.is_Integer else str(named)

    def changing(self, axes: frozenset[str], graph: torch.fx.Graph) -> set[sympy.Symbol]:
        """The symbols in the input axes `axes` ("cache_0.d2")."""
        found: set[sympy.Symbol] = set()
        for node in graph.find_nodes(op="placeholder"):
            value = node.meta.get("val")
            for dim, size in enumerate(value.shape if isinstance(value, torch.Tensor) else ()):
                if f"{node.name}.d{dim}" in axes and isinstance(size, torch.SymInt):
                    found |= set(size.node.expr.free_symbols)
        return found

    def values_for(self, graph: Graph, exported: torch.fx.Graph, values: Mapping[str, int]) -> dict[str, int]:
        """{symbol of `graph`: size} where `values` are by the names here; `exported` is the graph behind `graph`."""
        own = Symbols(exported).names
        return {name: values[self.names[symbol]] for symbol, name in own.items() if name in graph.symbols}
