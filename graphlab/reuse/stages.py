"""A stage that reuses features in its workload: two stages in its place, whose sums are those of the generation."""

from __future__ import annotations

from dataclasses import replace

from graphlab.hoisting.stages import part_inputs
from graphlab.program import Program
from graphlab.reuse.result import ReuseResult
from graphlab.workload import Stage, Workload


def workload_with(workload: Workload, name: str, result: ReuseResult) -> Workload:
    """`workload` with the stage `name` replaced by "NAME refresh" and "NAME reuse", which share its weights.

    A result without parts gives back the workload. UnknownNameError for an unknown stage.
    """
    stage = workload.stage(name)
    if result.refresh is None or result.reuse is None:
        return workload
    refreshes = f"(({stage.steps}) + {result.every - 1}) // {result.every}"
    parts = (
        _stage(stage, "refresh", result.refresh, refreshes, result),
        _stage(stage, "reuse", result.reuse, f"({stage.steps}) - {refreshes}", result),
    )
    at = workload.stages.index(stage)
    return replace(workload, stages=(*workload.stages[:at], *parts, *workload.stages[at + 1 :]))


def _stage(stage: Stage, part: str, program: Program, steps: str, result: ReuseResult) -> Stage:
    inputs = part_inputs(stage, program, result.kept)
    note = f"approximate: features of {stage.name} are computed every {result.every} steps and reused in between"
    return replace(
        stage,
        name=f"{stage.name} {part}",
        inputs=inputs,
        build=None,
        program=program,
        steps=steps,
        assumptions=(*stage.assumptions, note),
        identity="",
        weights=stage.weights or stage.name,
        holds_values=False,
    )
