"""Sizes in a part of a program: taken over where what they are read from is there, else written anew from inputs."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any

import sympy
import torch
from torch.utils._sympy.functions import FloorDiv, Mod, PythonMod

from graphlab.errors import GraphlabError
from graphlab.hoisting.levels import is_size

Node = torch.fx.Node
_BINARY: dict[Any, Callable[[Any, Any], Any]] = {
    sympy.Add: operator.add,
    sympy.Mul: operator.mul,
    FloorDiv: operator.floordiv,
    Mod: operator.mod,
    PythonMod: operator.mod,
}


class Sizes:
    """Size nodes of the graph `graph`, whose nodes are `known` ({node of the whole: node here})."""

    def __init__(self, graph: torch.fx.Graph, known: dict[Node, Node], taken: set[str]) -> None:
        self.graph = graph
        self.known = known
        self.taken = taken
        self.written: dict[sympy.Expr, Any] = {}
        self.axes: dict[sympy.Symbol, tuple[Node, int]] = {}

    def show(self, placeholders: Iterable[Node]) -> None:
        """Symbols are read from the axes of `placeholders` (nodes of this graph)."""
        for node in placeholders:
            for symbol, dim in plain_axes(node.meta.get("val")):
                self.axes.setdefault(symbol, (node, dim))

    def of(self, node: Node) -> Any:
        """The size `node` (of the whole) in this graph; GraphlabError when no input here shows it."""
        if node in self.known:
            return self.known[node]
        args = [arg for arg in node.all_input_nodes if not is_size(arg)]
        if all(arg in self.known for arg in args):
            for arg in node.all_input_nodes:
                if is_size(arg):
                    self.known[arg] = self.of(arg)
            self.known[node] = self.graph.node_copy(node, lambda n: self.known[n])
            return self.known[node]
        value = node.meta["val"]
        made = self.write(value.node.expr) if isinstance(value, torch.SymInt) else value
        if not isinstance(made, (Node, int)):
            raise GraphlabError(f"the number {node.name} cannot be told from sizes of the inputs")
        return made

    def write(self, expr: sympy.Expr) -> Any:
        """`expr` as an int or as nodes that work it out."""
        if expr.is_Integer:
            return int(expr)
        if expr not in self.written:
            self.written[expr] = self._write(expr)
        return self.written[expr]

    def _write(self, expr: sympy.Expr) -> Any:
        if isinstance(expr, sympy.Symbol):
            if expr not in self.axes:
                raise GraphlabError(f"no input shows the size {expr}")
            source, dim = self.axes[expr]
            return self._call(torch.ops.aten.sym_size.int, source, dim, name=f"{source.name}_d{dim}")
        if isinstance(expr, sympy.Pow) and expr.exp.is_Integer and expr.exp > 0:
            base = self.write(expr.base)
            result = base
            for _ in range(int(expr.exp) - 1):
                result = self._call(operator.mul, result, base)
            return result
        function = _BINARY.get(type(expr))
        if function is None:
            raise GraphlabError(f"the size {expr} cannot be written as arithmetic on sizes")
        first, *rest = (self.write(arg) for arg in expr.args)
        for item in rest:
            first = self._call(function, first, item)
        return first

    def fresh(self, name: str) -> str:
        """`name` where no node is called that, else another like it."""
        chosen, count = name, 0
        while chosen in self.taken:
            count += 1
            chosen = f"{name}_{count}"
        self.taken.add(chosen)
        return chosen

    def _call(self, target: Callable[..., Any], *args: Any, name: str = "") -> Any:
        values = [arg.meta["val"] if isinstance(arg, Node) else arg for arg in args]
        value = values[0].shape[values[1]] if isinstance(values[0], torch.Tensor) else target(*values)
        if isinstance(value, int):
            return value
        node = self.graph.create_node("call_function", target, args, {}, name=self.fresh(name or "size"))
        node.meta["val"] = value
        return node


def plain_axes(value: Any) -> list[tuple[sympy.Symbol, int]]:
    """(symbol, axis) of the axes of a fake tensor that are one symbol."""
    if not isinstance(value, torch.Tensor):
        return []
    axes: list[tuple[Any, int]] = [(size, dim) for dim, size in enumerate(value.shape)]
    sizes = [(size.node.expr, dim) for size, dim in axes if isinstance(size, torch.SymInt)]
    return [(expr, dim) for expr, dim in sizes if isinstance(expr, sympy.Symbol)]
