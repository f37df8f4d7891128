"""An ONNX file to a Program: symbolic where its operators allow it, at its default sizes otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import onnx_ir as ir

from graphlab.errors import BindingError, SourceError
from graphlab.graph import Graph
from graphlab.onnx_graph.interpret import Interpreter, UnreadableError
from graphlab.onnx_graph.load import load_model
from graphlab.onnx_graph.sizes import Sizes, input_sizes
from graphlab.onnx_graph.symbols import Symbols, quiet
from graphlab.onnx_graph.tracer import Tracer
from graphlab.program import Program
from graphlab.symbolic import evaluate_any


@dataclass(frozen=True, slots=True)
class OnnxRead:
    """A file that was read: the program, its size of every symbol where none is bound ({"sample.d2": 64}), the
    file's own name of it ({"sample.d2": "height"}), and what had to be assumed."""

    program: Program
    defaults: Mapping[str, int]
    names: Mapping[str, str]
    assumptions: tuple[str, ...]


def read_onnx(view: memoryview, what: str, inputs: Mapping[str, str], *, dynamic: bool = True) -> OnnxRead:
    """The model in the bytes `view` of the file messages call `what`, under the shapes of `--input`.

    No weight is read and no other file opened. SourceError, in one line, for what is damaged, for sizes that depend
    on data, and for shapes that do not fit.
    """
    model = load_model(view, what)
    given = input_sizes(model.graph, inputs, what)
    with quiet():
        graph, sizes, reasons = _graph(model, given, what, dynamic)
    axes = {axis: name for name, axis in sizes.axes.items()}
    assumed = [f"{name} = {sizes.defaults[name]}" for name in sizes.assumed]
    notes = (f"read at fixed sizes ({'; '.join(reasons)})",) if reasons else ()
    told = (f"{what} does not say its free sizes: {', '.join(assumed)}",) if assumed else ()
    program = Program(_name(model), graph, None, notes)
    defaults = {symbol: sizes.defaults[axes[symbol]] for symbol in graph.symbols}
    return OnnxRead(program, defaults, {symbol: axes[symbol] for symbol in graph.symbols}, told)


def _name(model: ir.Model) -> str:
    name = (model.graph.name or "").strip()
    return name if name and name not in ("main_graph", "main", "torch_jit", "graph") else ""


def _graph(model: ir.Model, given: Sizes, what: str, dynamic: bool) -> tuple[Graph, Sizes, list[str]]:
    """(graph, the sizes it was read at, why it is not symbolic)."""
    errors: list[SourceError] = []
    for sizes in given.candidates():
        reasons: list[str] = []
        for hints in _hints(sizes) if dynamic and sizes.defaults else ():
            try:
                graph = _trace(model, sizes, what, hints)
            except UnreadableError:
                raise
            except SourceError as error:
                reasons.append(error.message)
                continue
            broken = _broken(graph, {axis: sizes.defaults[name] for name, axis in sizes.axes.items()})
            if broken is None:
                return graph, sizes, []
            reasons.append(f"needs {broken}")
        try:
            return _trace(model, sizes, what, {}), sizes, list(dict.fromkeys(reasons))
        except UnreadableError:
            raise
        except SourceError as error:
            errors.append(error)
    raise errors[0]


def _hints(sizes: Sizes) -> Iterator[dict[str, int]]:
    """Example sizes to trace at: a batch of 2, since torch keeps a size of 1 for good, and unequal sides first."""
    whole = {name: max(size, 2) for name, size in sizes.defaults.items()}
    spread, taken = dict(whole), set()
    for name, size in whole.items():
        while spread[name] in taken and size % 4 == 0 and size > 4:
            spread[name] += size // 4
        taken.add(spread[name])
    yield spread
    if spread != whole:
        yield whole


def _trace(model: ir.Model, sizes: Sizes, what: str, hints: Mapping[str, int]) -> Graph:
    symbols = Symbols()
    values = {
        name: symbols.add(sizes.axes[name], hints[name]) if name in hints else size
        for name, size in sizes.defaults.items()
    }
    return Interpreter(model, sizes, Tracer(symbols), values, what).graph()


def _broken(graph: Graph, values: Mapping[str, int]) -> str | None:
    """The first condition of `graph` that the default sizes break; None when it holds there."""
    for symbol, (low, high) in graph.ranges.items():
        least = 1 if low == 2 else low
        if values[symbol] < least or (high is not None and values[symbol] > high):
            return f"{least} <= {symbol} <= {high}"
    for node in graph.inputs:
        for index, size in enumerate(node.out.shape):
            axis = f"{node.name}.d{index}"
            if axis in values and isinstance(size, int) and size != values[axis]:
                return f"{axis} == {size}"
    return next((guard for guard in graph.guards if not _holds(guard, values)), None)


def _holds(guard: str, values: Mapping[str, int]) -> bool:
    try:
        return bool(evaluate_any(guard, values))
    except BindingError:
        return False
