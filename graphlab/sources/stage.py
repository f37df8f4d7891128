"""A stage under a set of values to a Program whose guards hold there: from memory, from disk, or captured.

Order of tries: a symbolic capture at sizes spread apart (so that equal sizes do not become an equality
guard), then a symbolic one at the asked sizes, then a static one. Every candidate is checked against all its
guards before it is used; substituting past a guard gives wrong numbers in silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch.export import Dim

from graphlab.discovery.blame import blamed
from graphlab.discovery.owner import PluginError
from graphlab.errors import BindingError, CaptureError
from graphlab.graph import Graph
from graphlab.program import Program
from graphlab.sources import cache
from graphlab.sources.arguments import example_arguments
from graphlab.sources.build import module_of
from graphlab.sources.guards import broken_guard
from graphlab.sources.module import by_parameter, capture
from graphlab.symbolic import evaluate_text, names_in
from graphlab.workload import Argument, Stage, TensorInput

Values = Mapping[str, "int | float"]


def axis_sizes(stage: Stage, values: Values) -> dict[str, int]:
    """{"sample.d2": size} of every axis of every tensor input of `stage` under `values`."""
    texts = axis_texts(stage)
    known = {text: evaluate_text(text, values) for text in set(texts.values())}  # a cache has few texts, many axes
    return {axis: known[text] for axis, text in texts.items()}


def axis_texts(stage: Stage) -> dict[str, int | str]:
    """{"sample.d2": "height // 8"} of every axis of every tensor input, by placeholder name."""
    found: dict[str, int | str] = {}
    for name, argument in _tensors("", stage.inputs):
        found.update({f"{name}.d{index}": size for index, size in enumerate(argument.shape)})
    return found


def tensor_inputs(stage: Stage) -> dict[str, TensorInput]:
    """{placeholder name: TensorInput}; nested arguments are joined with underscores, as torch names them."""
    return dict(_tensors("", stage.inputs))


def _tensors(prefix: str, argument: Argument) -> Iterator[tuple[str, TensorInput]]:
    if isinstance(argument, TensorInput):
        yield prefix, argument
    elif isinstance(argument, (Mapping, tuple)):
        items = argument.items() if isinstance(argument, Mapping) else enumerate(argument)
        for key, value in items:
            yield from _tensors(f"{prefix}_{key}" if prefix else str(key), value)


def mismatch(graph: Graph, sizes: Mapping[str, int]) -> str | None:
    """Why `graph` is not the model's graph at `sizes` ({axis: size}), in words; None when it is."""
    for node in graph.inputs:
        for index, text in enumerate(node.out.shape):
            axis = f"{node.name}.d{index}"
            if axis in sizes and isinstance(text, int) and text != sizes[axis]:
                return f"{axis} == {text}"
    values = {symbol: sizes[symbol] for symbol in graph.symbols if symbol in sizes}
    if len(values) != len(graph.symbols):
        return "an input is not described by the stage"
    for node in graph.inputs:
        for index, text in enumerate(node.out.shape):
            axis = f"{node.name}.d{index}"
            if axis in sizes and evaluate_text(text, values) != sizes[axis]:
                return f"{axis} == {text}"
    return broken_guard(graph, values, batch_symbols(graph))


def symbolic_variables(stage: Stage, program: Program, values: Values) -> tuple[set[str], set[str]]:
    """(variables that may take another value without a new capture, variables sizes of `stage` read that may not).

    Symbolic is what some other value passes every guard for, alone or with the other side of the picture: a
    model may keep a symbol in its shapes and pin it by a guard.
    """
    used = {name for size in axis_texts(stage).values() for name in names_in(size)}
    movable = {name for name in used if _may_move(stage, program, values, name)}
    return movable, used - movable


def _may_move(stage: Stage, program: Program, values: Values, name: str) -> bool:
    sides = [side for side in ("height", "width") if side in values and name in ("height", "width")]
    steps = [sign * step for step in (1, 2, 4, 7, 8, 16, 28, 32, 64, 128, 256, 512) for sign in (1, -1)]
    for step in steps:
        for names in ((name,), tuple(sides)):
            moved = {other: int(values[other]) + step for other in names}
            if min(moved.values(), default=0) < 1:
                continue
            sizes = axis_sizes(stage, {**values, **moved})
            if sizes != axis_sizes(stage, values) and mismatch(program.graph, sizes) is None:
                return True
    return False


def batch_symbols(graph: Graph) -> tuple[str, ...]:
    """Symbols of leading axes: those a batch of 1 may be substituted into (pinned by the oracle per model)."""
    return tuple(symbol for symbol in graph.symbols if symbol.endswith(".d0"))


def program_for(
    stage: Stage, values: Values, *, dynamic: bool = True, candidates: tuple[Program, ...] = (), disk: bool = True
) -> Program:
    """A Program of `stage` whose guards hold at `values`; `candidates` are tried before anything is captured."""
    sizes = axis_sizes(stage, values)
    for program in candidates:
        if mismatch(program.graph, sizes) is None:
            return program
    if stage.program is not None:
        return _fixed(stage, stage.program, sizes)
    module: torch.nn.Module | None = None
    reasons: list[str] = []
    for label, attempt, symbolic in _attempts(stage, values, dynamic):
        key = cache.key(stage, axis_sizes(stage, attempt), symbolic) if disk else None
        found = cache.load(key)
        if found is None:
            module = module if module is not None else module_of(stage)
            try:
                found = _from_one(stage, _captured(module, stage, attempt, symbolic))
            except CaptureError as error:
                if not symbolic:
                    raise
                reasons.append(f"{label}: {error.message}")
                continue
            cache.store(key, found)
        broken = mismatch(found.graph, sizes)
        if broken is None:
            return _with_notes(found, reasons if not found.graph.symbols else [])
        reasons.append(f"{label}: needs {broken}")
    who = f"{stage.owner}: " if stage.owner else ""
    raise CaptureError(f"{who}no capture of {stage.name} holds at {dict(values)}: {'; '.join(reasons)}")


def _fixed(stage: Stage, program: Program, sizes: Mapping[str, int]) -> Program:
    broken = mismatch(program.graph, sizes)
    if broken is None:
        return program
    texts = axis_texts(stage)
    shown = re.sub(r"[A-Za-z_]\w*\.d\d+", lambda m: str(texts.get(m.group(0), m.group(0))), broken)
    raise BindingError(
        f"{stage.name} was captured under the condition {shown}, which these sizes break",
        hint="capture or export the model again at these sizes",
    )


def _with_notes(program: Program, reasons: list[str]) -> Program:
    if not reasons:
        return program
    notes = (*program.notes, f"captured statically ({'; '.join(reasons)})")
    return Program(program.name, program.graph, program.exported, notes, program.history)


def _attempts(stage: Stage, values: Values, dynamic: bool) -> Iterator[tuple[str, dict[str, Any], bool]]:
    if dynamic:
        tried = []
        for label, attempt in (
            ("symbolic", _spread(_grown(stage, values), square=stage.square)),
            ("symbolic at these sizes", _double_batch(_grown(stage, values))),
        ):
            try:
                sizes = axis_sizes(stage, attempt)
            except BindingError:
                continue
            if sizes not in tried:
                tried.append(sizes)
                yield label, attempt, True
    yield "static", dict(values), False


GROWN = 5
"""What a length that grows from step to step is captured at where its first step has 1, which torch would keep."""


def _grown(stage: Stage, values: Values) -> dict[str, Any]:
    """`values` with every size the steps change raised above 1."""
    return {name: GROWN if name in stage.step_bindings and value == 1 else value for name, value in values.items()}


def _from_one(stage: Stage, program: Program) -> Program:
    """`program` whose lengths that grow from step to step start at 1: torch writes 2 for every size it was not told.

    The oracle pins that such a capture is the model's graph at 1, as it does for a batch of 1.
    """
    growing = {axis for axis, text in axis_texts(stage).items() if text in stage.step_bindings}
    ranges = {
        symbol: (1, high) if symbol in growing and low == 2 else (low, high)
        for symbol, (low, high) in program.graph.ranges.items()
    }
    return replace(program, graph=replace(program.graph, ranges=ranges))


def _double_batch(values: Values) -> dict[str, Any]:
    """`values` with a batch of at least 2: torch specialises 1 for good."""
    return {**values, "batch": max(2, int(values["batch"]))} if "batch" in values else dict(values)


def _spread(values: Values, *, square: bool) -> dict[str, Any]:
    """`values` at batch 2 with the width one and a half times an equal height, which keeps the most factors of 2.

    A width that a network halves as often as it can is then still halved as often: another would be captured in vain.
    """
    spread = _double_batch(values)
    height, width = spread.get("height"), spread.get("width")
    if not square and height is not None and width == height and int(height) % 4 == 0:
        spread["width"] = int(width) * 3 // 2
    if "batch" in spread:
        spread["batch"] = 2
    return spread


def _captured(module: torch.nn.Module, stage: Stage, values: Values, symbolic: bool) -> Program:
    """`_capture`; CaptureError says who the stage comes from, where somebody is known."""
    if not stage.owner:
        return _capture(module, stage, values, symbolic)
    try:
        with blamed(stage.owner):
            return _capture(module, stage, values, symbolic)
    except PluginError as error:
        raise CaptureError(error.message, hint=error.hint) from error


def _capture(module: torch.nn.Module, stage: Stage, values: Values, symbolic: bool) -> Program:
    kwargs = example_arguments(stage, values, _device(module))
    axes = {name: _dynamic(argument) for name, argument in stage.inputs.items()}
    shapes = by_parameter(module, axes) if symbolic else False
    program = capture(module, (), kwargs, shapes, name=stage.name, strict=stage.strict)
    if symbolic and program.notes:
        raise CaptureError(program.notes[0].removeprefix("captured statically: symbolic capture failed with "))
    return program


def _device(module: torch.nn.Module) -> str:
    first = next(iter(module.parameters()), None)
    return str(first.device) if first is not None else "meta"


def _dynamic(argument: Argument) -> Any:
    """Dim.AUTO for the axes whose size reads a variable; None elsewhere."""
    if isinstance(argument, TensorInput):
        axes = {i: Dim.AUTO for i, size in enumerate(argument.shape) if names_in(size)}
        return axes or None
    if isinstance(argument, Mapping):
        return {key: _dynamic(value) for key, value in argument.items()}
    if isinstance(argument, tuple):
        return tuple(_dynamic(value) for value in argument)
    return None
