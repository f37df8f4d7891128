"""The guards of a program, said about the inputs of a part of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import sympy
import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from graphlab.hoisting.sizes import plain_axes

_SIZE = re.compile(r"L((?:\[[^\]]+\])+)\.size\(\)\[(\d+)\]")
_KEY = re.compile(r"\[\s*['\"]?([^'\"\]]+)['\"]?\s*\]")


class _Unseen(Exception):
    """A guard about a size that the part does not see: it cannot depend on it."""


def part_guards(whole: ExportedProgram, inputs: Iterable[torch.fx.Node]) -> list[str]:
    """The guards of `whole` on sizes that `inputs`, the placeholders of a part, show; written over those inputs."""
    given = list(inputs)
    axes: dict[sympy.Symbol, str] = {}
    for node in given:
        for symbol, dim in plain_axes(node.meta.get("val")):
            axes.setdefault(symbol, _axis(node.name, dim))
    values = {node.name: node.meta.get("val") for node in whole.graph.find_nodes(op="placeholder")}
    specs = whole.graph_signature.input_specs
    order = [spec.arg.name for spec in specs if spec.kind is InputKind.USER_INPUT]
    names = {node.name for node in given}
    found: dict[str, None] = {}
    for guard in getattr(whole, "_guards_code", None) or ():
        text = str(guard)
        if not _SIZE.search(text):
            continue
        try:
            found[_SIZE.sub(lambda match: _seen(match, values, order, names, axes), text)] = None
        except _Unseen:
            continue
    return list(found)


def _axis(name: str, dim: int) -> str:
    return f"L['{name}'].size()[{dim}]"


def _seen(
    match: re.Match[str],
    values: Mapping[str, Any],
    order: list[str],
    names: set[str],
    axes: Mapping[sympy.Symbol, str],
) -> str:
    path = [key.replace(".", "_") for key in _KEY.findall(match.group(1))]
    flat = path[0] == "flat_args" and len(path) == 2 and path[1].isdigit() and int(path[1]) < len(order)
    name, dim = order[int(path[1])] if flat else "_".join(path), int(match.group(2))
    value = values.get(name)
    if not isinstance(value, torch.Tensor):
        raise _Unseen
    if name in names:
        return _axis(name, dim)
    size = value.shape[dim]
    if isinstance(size, int):
        return str(size)
    expr = size.node.expr
    if not expr.free_symbols <= set(axes):
        raise _Unseen
    text = str(expr)
    for symbol in expr.free_symbols:
        text = re.sub(rf"\b{re.escape(str(symbol))}\b", lambda _, s=symbol: axes[s], text)
    return f"({text})"
