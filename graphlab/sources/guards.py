"""The guards of an exported program, as text over the graph's symbols, and their check against a binding.

torch writes them as `(L['sample'].size()[2] % 8) == 0`. They are text in a file of a stranger, so they are
parsed by `graphlab.symbolic`, never evaluated as Python.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from torch.export.graph_signature import InputKind

from graphlab.errors import BindingError
from graphlab.graph import Graph
from graphlab.symbolic import compile_text, evaluate_any

if TYPE_CHECKING:
    from torch.export import ExportedProgram

_SIZE = re.compile(r"L((?:\[[^\]]+\])+)\.size\(\)\[(\d+)\]")
_KEY = re.compile(r"\[\s*['\"]?([^'\"\]]+)['\"]?\s*\]")


def guard_texts(program: ExportedProgram, by_axis: Mapping[str, str]) -> tuple[str, ...]:
    """Guards of `program` over its symbols; `by_axis` maps "sample.d2" to the text of that size.

    Guards on anything but sizes (constants that were baked in) are not about bindings and are left out.
    """
    texts: dict[str, None] = {}
    inputs = [spec.arg.name for spec in program.graph_signature.input_specs if spec.kind is InputKind.USER_INPUT]
    for guard in getattr(program, "_guards_code", None) or ():
        text = _SIZE.sub(lambda match: _axis(match, by_axis, inputs), str(guard)).replace("\n", " ")
        if "L[" in text and ".size()" not in text:
            continue
        if _reads_sizes(text):
            texts[text] = None
    return tuple(texts)


def _reads_sizes(text: str) -> bool:
    try:
        return bool(compile_text(text)[1])
    except BindingError:
        return True  # unreadable here: kept, and held to be true at the example sizes alone


def _axis(match: re.Match[str], by_axis: Mapping[str, str], inputs: Sequence[str]) -> str:
    """The size text of an input axis; the match itself where it names no known input.

    Non-strict captures name the argument (`L['sample']`), strict ones its place (`L['flat_args'][0]`).
    """
    path = [key.replace(".", "_") for key in _KEY.findall(match.group(1))]
    name = "_".join(path)
    if path[0] == "flat_args" and path[1].isdigit() and int(path[1]) < len(inputs):
        name = inputs[int(path[1])]
    axis = f"{name}.d{match.group(2)}"
    return f"({by_axis[axis]})" if axis in by_axis else match.group(0)


def broken_guard(graph: Graph, values: Mapping[str, int], ones_allowed: Iterable[str] = ()) -> str | None:
    """The first guard or range of `graph` that `values` breaks, in words; None when the graph holds there.

    torch specialises an example size of 1, so every range starts at 2; a symbol in `ones_allowed` (the
    batch) may be 1 all the same. A guard in an unknown spelling holds at the example sizes only.
    """
    if dict(values) == dict(graph.symbols):
        return None
    allowed = set(ones_allowed)
    for symbol, (low, high) in graph.ranges.items():
        value = values[symbol]
        if value < (1 if low == 2 and symbol in allowed else low):
            return f"{symbol} >= {low}"
        if high is not None and value > high:
            return f"{symbol} <= {high}"
    return next((guard for guard in graph.guards if not _holds(guard, values)), None)


def _holds(guard: str, values: Mapping[str, int]) -> bool:
    try:
        return bool(evaluate_any(guard, values))
    except BindingError:
        return False
