"""A hoisted stage in its workload: three stages in its place, whose sums are those of the generation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from graphlab.hoisting.result import BoundaryValue, HoistResult
from graphlab.program import Program
from graphlab.sources.stage import axis_texts, tensor_inputs
from graphlab.symbolic import names_in
from graphlab.workload import Size, Stage, TensorInput, Workload

_SYMBOL = re.compile(r"[A-Za-z_]\w*\.d\d+")


def workload_with(workload: Workload, name: str, result: HoistResult) -> Workload:
    """`workload` with the stage `name` replaced by the parts of `result`: "NAME prologue", "NAME table", "NAME".

    The prologue runs once, the table and what is left of the stage as often as the stage did; each at the calls per
    step of the stage. A result without parts gives back the workload. UnknownNameError for an unknown stage.
    """
    stage = workload.stage(name)
    if not result.modified:
        return workload
    parts = tuple(_stage(stage, part, program, result) for part, program in result.programs)
    at = workload.stages.index(stage)
    return replace(workload, stages=(*workload.stages[:at], *parts, *workload.stages[at + 1 :]))


def _stage(stage: Stage, part: str, program: Program, result: HoistResult) -> Stage:
    inputs = part_inputs(stage, program, result.boundary)
    named = {name for item in inputs.values() for size in item.shape for name in names_in(size)}
    note = f"{part} of {stage.name}, split by hoist-loop-invariants"
    return replace(
        stage,
        name=stage.name if part == "step" else f"{stage.name} {part}",
        inputs=inputs,
        build=None,
        program=program,
        steps=f"min(1, {stage.steps})" if part == "prologue" else stage.steps,
        calls_per_step=stage.calls_per_step,
        step_bindings={} if part == "prologue" else {k: v for k, v in stage.step_bindings.items() if k in named},
        assumptions=(*stage.assumptions, note),
        identity="",
        weights="",
    )


def part_inputs(stage: Stage, program: Program, boundary: Iterable[BoundaryValue]) -> dict[str, TensorInput]:
    """The inputs of the part `program` of `stage` by name, sizes over the variables of the workload."""
    own, texts = tensor_inputs(stage), axis_texts(stage)
    made = {item.name: item for item in boundary}
    found: dict[str, TensorInput] = {}
    for node in program.graph.inputs:
        if node.name in own:
            found[node.name] = own[node.name]
        else:
            item = made[node.name]
            found[node.name] = TensorInput(tuple(_size(size, texts) for size in item.shape), item.dtype, "condition")
    return found


def _size(size: Any, texts: Mapping[str, Size]) -> Size:
    """`size` over symbols of the graph ("sample.d2 // 2") as one over the variables of the workload."""
    if isinstance(size, int):
        return size
    whole = texts.get(size)
    if whole is not None:
        return whole
    return _SYMBOL.sub(lambda match: f"({texts[match.group(0)]})", size)
