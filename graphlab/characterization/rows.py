"""The summary of a Characterization: a row a model, a row a stage."""

from __future__ import annotations

from graphlab.characterization.data import BASELINE, FUSED, Characterization, ModelRun, StageSeries
from graphlab.facts import known_sum
from graphlab.report.characterization_data import ModelRow, StageRow

COMPILED = "compiled"


def model_rows(suite: Characterization) -> tuple[ModelRow, ...]:
    """One row a model, in the order they were asked for."""
    return tuple(_model_row(suite, run) for run in suite.models)


def _model_row(suite: Characterization, run: ModelRun) -> ModelRow:
    stages = tuple(_stage_row(suite, run, stage) for stage in run.stages)
    return ModelRow(
        name=run.name,
        kind=run.kind,
        family=run.family,
        bindings=run.workload.values(),
        parameters=run.parameters,
        weight_bytes=run.weight_bytes,
        flops=known_sum(stage.flops for stage in stages),
        bytes_baseline=sum(stage.bytes_baseline for stage in stages),
        bytes_fused=sum(stage.bytes_fused for stage in stages),
        peak_bytes_baseline=run.peak_bytes("materialized"),
        peak_bytes_fused=run.peak_bytes("fused"),
        seconds_baseline=sum(stage.seconds_baseline for stage in stages),
        seconds_fused=sum(stage.seconds_fused for stage in stages),
        seconds_compiled=_sum([stage.seconds_compiled for stage in stages]),
        idle_fused=sum(stage.idle_fused for stage in stages),
        stages=stages,
        unknown_nodes=sum(stage.unknown_nodes for stage in stages),
    )


def _sum(seconds: list[float | None]) -> float | None:
    known = [value for value in seconds if value is not None]
    return sum(known) if len(known) == len(seconds) else None


def _stage_row(suite: Characterization, run: ModelRun, stage: StageSeries) -> StageRow:
    fused = suite.time(run, stage, FUSED)
    return StageRow(
        name=stage.name,
        family=stage.family,
        steps=len(stage.run.steps),
        calls=sum(step.repeats for step in stage.run.steps),
        parameters=stage.run.first.parameters,
        flops=stage.run.flops,
        bytes_baseline=stage.run.total(lambda call: call.bytes["materialized"]),
        bytes_fused=stage.run.total(lambda call: call.bytes["fused"]),
        seconds_baseline=suite.time(run, stage, BASELINE).seconds,
        seconds_fused=fused.seconds,
        seconds_compiled=suite.time(run, stage, COMPILED).seconds if COMPILED in suite.model.runtimes else None,
        idle_fused=fused.idle,
        unknown_nodes=stage.run.unknown_nodes,
    )
