"""Every step of every stage that runs in steps: FLOPs, bytes, memory, lengths, tokens still masked, seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from graphlab.characterization.data import Characterization, ModelRun, StageSeries
from graphlab.figures.charts import FADED, facets, picks, quantity, tooltip, way_colour
from graphlab.figures.notes import distinct, why_empty
from graphlab.figures.sequence_length import length_of
from graphlab.figures.ways import WAYS
from graphlab.kernels.data import StageCall
from graphlab.report.figure import Column, Figure, Value

COLUMNS = (
    Column("model", "model"),
    Column("stage", "stage"),
    Column("step", "step", help="counted from 0"),
    Column("flops", "FLOPs", "FLOP", "of contractions, all calls of the step"),
    Column("bytes_baseline", "bytes moved, scores in memory", "B"),
    Column("bytes_fused", "bytes moved, fused attention", "B"),
    Column("peak_bytes_baseline", "peak memory, scores in memory", "B", "activations of one call, caches among them"),
    Column("peak_bytes_fused", "peak memory, fused attention", "B", "activations of one call, caches among them"),
    Column("cache_bytes", "cache", "B", "keys and values of earlier tokens"),
    Column("length", "longest sequence", help="that an attention of the step sees"),
    Column("masked", "tokens still masked", help="after the step; none where the model masks nothing"),
    Column("seconds_baseline", "time, scores in memory", "s", estimate=True),
    Column("seconds_fused", "time, fused attention", "s", estimate=True),
)


def steps(suite: Characterization) -> Figure:
    """One row a step of every stage of more than one."""
    stages = [(run, stage) for run in suite.models for stage in run.stages if len(stage.run.steps) > 1]
    rows = tuple(row for run, stage in stages for row in _rows(suite, run, stage))
    return Figure(
        name="steps",
        title="Step by step",
        caption=(
            "Counts and estimated time of every step. Of a stage whose sizes change, some steps are worked out; counts "
            "of the others follow exactly, seconds in straight lines between them."
        ),
        columns=COLUMNS,
        rows=rows,
        chart=_CHART,
        notes=distinct(why_empty(rows, "no stage of the suite runs in steps"), _unmasked(stages)),
    )


def _rows(suite: Characterization, run: ModelRun, stage: StageSeries) -> Iterator[Mapping[str, Value]]:
    series = stage.run
    columns: dict[str, list[int] | list[float]] = {}
    if series.first.counted:
        columns["flops"] = series.series(lambda call: call.flops)
    for way in WAYS:
        columns[f"bytes_{way.label}"] = series.series(_of("bytes", way.key))
        columns[f"peak_bytes_{way.label}"] = series.level(_of("peak_bytes", way.key))
        columns[f"seconds_{way.label}"] = suite.time(run, stage, way.runtime).per_step()
    columns["cache_bytes"] = series.level(lambda call: call.cache_bytes)
    columns["length"] = series.level(_longest)
    for place, step in enumerate(series.steps):
        own = {"flops": None, **{key: values[place] for key, values in columns.items()}}
        yield {"model": run.name, "stage": stage.name, "step": step.index, "masked": step.values.get("masked"), **own}


def _of(field: str, key: str) -> Callable[[StageCall], int]:
    """The count that `field` of a call has under `key`."""

    def count(call: StageCall) -> int:
        found: int = getattr(call, field)[key]
        return found

    return count


def _longest(call: StageCall) -> int:
    return max((length_of(attention) for attention in call.attentions), default=0)


def _unmasked(stages: list[tuple[ModelRun, StageSeries]]) -> Iterator[str]:
    for run, stage in stages:
        if stage.family == "masked transformer" and "masked" not in stage.run.steps[0].values:
            yield f"{run.name} {stage.name}: its workload does not say how many tokens are masked at a step"


_CHART = {
    "description": "Lines, one panel a model: estimated time of every step, attention baseline and fused.",
    "transform": [
        {"fold": ["seconds_baseline", "seconds_fused"], "as": ["run", "seconds"]},
        {"calculate": "datum.run === 'seconds_fused' ? 'fused' : 'baseline'", "as": "attention"},
    ],
    **facets(
        "model",
        3,
        {
            "params": picks("attention"),
            "mark": {"type": "line", "point": {"size": 10}},
            "encoding": {
                "x": quantity("step", "step", format="d"),
                "y": quantity("seconds", "time of the step (s)"),
                "color": way_colour(),
                "strokeDash": {"field": "stage", "type": "nominal", "legend": None},
                "opacity": FADED,
                "tooltip": [
                    *tooltip(COLUMNS, "model", "stage", "step", "flops", "length", "masked", "cache_bytes"),
                    {"field": "seconds", "type": "quantitative", "format": ".4~s", "title": "time (s)"},
                ],
            },
        },
        free=("x", "y"),
    ),
}
