"""A bare program (a `.pt2`, a live capture, a user's module) as a one-stage Workload.

Its variables are the symbolic axes of its inputs, named by what the data flow shows them to be
("sample.h"), and their defaults are the sizes of the example it was exported with.
"""

from __future__ import annotations

import re

from graphlab.graph import Graph, Node
from graphlab.input_axes import axis_names
from graphlab.pipeline import Facts
from graphlab.program import Program
from graphlab.workload import Size, Stage, TensorInput, Variable, Workload


def program_workload(program: Program, source: str, assumptions: tuple[str, ...] = ()) -> Workload:
    """The Workload of one stage that runs `program` once."""
    graph = program.graph
    facts = Facts(graph, dict(graph.symbols)).result("axes")
    names = axis_names(graph, facts)
    shown = {symbol: names[symbol] for symbol in graph.symbols}
    inputs = {node.name: _input(node, shown) for node in graph.inputs}
    variables = tuple(_variable(graph, symbol, name) for symbol, name in shown.items())
    stage = Stage(
        name=program.name,
        dtype=_dtype(graph),
        inputs=inputs,
        program=program,
        batch=_batch(graph, facts.meaning, shown),
    )
    return Workload(program.name, source, (stage,), variables, assumptions=assumptions)


def _variable(graph: Graph, symbol: str, name: str) -> Variable:
    low, high = graph.ranges.get(symbol, (0, None))
    least = 1 if low == 2 and symbol.endswith(".d0") else max(low, 1)
    return Variable(name, graph.symbols[symbol], f"size of axis {name}", minimum=least, maximum=high)


def _input(node: Node, shown: dict[str, str]) -> TensorInput:
    return TensorInput(tuple(_renamed(size, shown) for size in node.out.shape), node.out.dtype)


def _renamed(size: Size, shown: dict[str, str]) -> Size:
    """`size` with every graph symbol replaced by the name a user sees."""
    if isinstance(size, int):
        return size
    return re.sub(r"[A-Za-z_]\w*\.d\d+", lambda match: shown.get(match.group(0), match.group(0)), size)


def _batch(graph: Graph, meaning: dict[str, str], shown: dict[str, str]) -> Size:
    """The batch axis of the first input that has one: its name where symbolic, its size where not; 1 for none."""
    for node in graph.inputs:
        for index, size in enumerate(node.out.shape):
            symbol = size if isinstance(size, str) else f"{node.name}.d{index}"
            if meaning.get(symbol) == "batch":
                return _renamed(size, shown)
    return 1


def _dtype(graph: Graph) -> str:
    """The dtype most weight bytes have; that of the first input without weights."""
    counts: dict[str, int] = {}
    for node in graph.weights:
        counts[node.out.dtype] = counts.get(node.out.dtype, 0) + node.out.nbytes
    if counts:
        return max(counts, key=lambda dtype: (counts[dtype], dtype))
    return graph.inputs[0].out.dtype if graph.inputs else "float32"
