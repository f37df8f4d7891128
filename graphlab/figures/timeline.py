"""A timeline of one generation: every stage and step with its start, its length and what bounds it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from graphlab.characterization.data import Characterization, ModelRun, StageSeries
from graphlab.figures.charts import FADED, colour, facets, picks, tooltip
from graphlab.figures.notes import distinct, why_empty
from graphlab.figures.ways import WAY_HELP, WAYS, Way
from graphlab.generation.steps import lines
from graphlab.prediction.data import BOUNDS
from graphlab.report.figure import Column, Figure, Value

MOST = 100
"""Rows a model and way of attention; steps beyond are merged with their neighbours."""

COLUMNS = (
    Column("model", "model"),
    Column("attention", "attention", help=WAY_HELP),
    Column("stage", "stage"),
    Column("first_step", "first step", help="counted from 0"),
    Column("last_step", "last step", help="of the steps merged into the row"),
    Column("start", "start", "s", estimate=True),
    Column("end", "end", "s", estimate=True),
    Column("seconds", "time", "s", estimate=True),
    Column("bound", "bound", help="what most of the time goes to", estimate=True),
)


def timeline(suite: Characterization) -> Figure:
    """Stages and steps of every model one after another, steps merged where there are too many to see."""
    rows = tuple(row for run in suite.models for way in WAYS for row in _rows(suite, run, way))
    return Figure(
        name="timeline",
        title="Timeline of one generation",
        caption="Estimated start and length of every stage and step of one generation; stages run one after another.",
        columns=COLUMNS,
        rows=rows,
        chart=_CHART,
        notes=distinct(why_empty(rows, "the suite has no models"), _merged(suite)),
    )


def chunk(run: ModelRun) -> int:
    """How many neighbouring steps of a stage one row stands for, so that a model has at most MOST rows."""
    counts = [len(stage.run.steps) for stage in run.stages]
    size = max(1, math.ceil(sum(counts) / MOST))
    while sum(math.ceil(count / size) for count in counts) > MOST and size < max(counts):
        size += 1
    return size


def _rows(suite: Characterization, run: ModelRun, way: Way) -> Iterator[Mapping[str, Value]]:
    start, size = 0.0, chunk(run)
    for stage in run.stages:
        seconds, bounds = suite.time(run, stage, way.runtime).per_step(), _bounds(suite, run, stage, way)
        for first in range(0, len(seconds), size):
            length = sum(seconds[first : first + size])
            last = min(first + size, len(seconds)) - 1
            yield {
                "model": run.name,
                "attention": way.label,
                "stage": stage.name,
                "first_step": first,
                "last_step": last,
                "start": start,
                "end": start + length,
                "seconds": length,
                "bound": bounds[(first + last) // 2],
            }
            start += length


def _bounds(suite: Characterization, run: ModelRun, stage: StageSeries, way: Way) -> list[str]:
    """What most of every step's time goes to, as in the step like it, or the nearest one, that was worked out."""
    known = [_main(call.bounds()) for call in suite.time(run, stage, way.runtime).calls]
    return [known[left + (share > 0.5)] for left, share in lines(stage.run.steps, stage.run.at)]


def _main(bounds: Mapping[str, float]) -> str:
    return max(bounds, key=lambda name: bounds[name]) if bounds else "idle"


def _merged(suite: Characterization) -> Iterator[str]:
    for run in suite.models:
        size = chunk(run)
        if size > 1:
            yield f"{run.name}: up to {size} neighbouring steps share a row"


_CHART = {
    "description": "Bars along a time axis, one panel a model: stages and steps from start to end, coloured by bound.",
    **facets(
        "model",
        2,
        {
            "width": 320,
            "height": {"step": 14},
            "params": picks("bound"),
            "transform": [{"calculate": "datum.stage + ', ' + datum.attention", "as": "lane"}],
            "mark": {"type": "bar", "stroke": "white", "strokeWidth": 0.3},
            "encoding": {
                "x": {"field": "start", "type": "quantitative", "title": "time (s)", "axis": {"format": "~s"}},
                "x2": {"field": "end"},
                "y": {"field": "lane", "type": "nominal", "title": None, "sort": None, "axis": {"labelLimit": 160}},
                "color": colour("bound", domain=BOUNDS),
                "opacity": FADED,
                "tooltip": tooltip(
                    COLUMNS, "model", "attention", "stage", "first_step", "last_step", "start", "seconds", "bound"
                ),
            },
        },
        free=("x", "y"),
    ),
}
