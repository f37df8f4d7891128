"""Operator-time breakdown: where a generation's time goes, attention with its scores in memory and fused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from graphlab.characterization.data import BASELINE, Characterization, ModelRun
from graphlab.figures.charts import FADED, MANY_COLOURS, colour, picks, tooltip
from graphlab.figures.ways import WAY_HELP, WAYS
from graphlab.ops.rule import CATEGORIES
from graphlab.prediction.data import category
from graphlab.report.figure import Column, Figure, Value

CLASSES = (*CATEGORIES, "idle")

COLUMNS = (
    Column("model", "model"),
    Column("attention", "attention", help=WAY_HELP),
    Column("category", "category", help="operator category; attention is its two products, mask and softmax alone"),
    Column("seconds", "time", "s", "of one generation", estimate=True),
    Column("share", "share of its own total", estimate=True),
    Column("share_of_baseline", "share of the baseline's total", estimate=True),
)


def breakdown(suite: Characterization) -> Figure:
    """Seconds of one generation by operator category, every model, both kinds of attention."""
    rows = [row for run in suite.models for row in _rows(suite, run)]
    return Figure(
        name="breakdown",
        title="Operator-time breakdown",
        caption="Time of one generation by operator category, normalised to the run with attention scores in memory.",
        columns=COLUMNS,
        rows=tuple(rows),
        chart=_CHART,
    )


def _rows(suite: Characterization, run: ModelRun) -> Iterator[Mapping[str, Value]]:
    whole = suite.seconds(run, BASELINE)
    for way in WAYS:
        groups = suite.by(run, way.runtime, category)
        own = sum(groups.values())
        for name in CLASSES:
            if name in groups:
                yield {
                    "model": run.name,
                    "attention": way.label,
                    "category": name,
                    "seconds": groups[name],
                    "share": groups[name] / own if own else None,
                    "share_of_baseline": groups[name] / whole if whole else None,
                }


_CHART = {
    "description": "Stacked bars: share of the baseline's time by operator category, two bars a model.",
    "params": picks("category"),
    "mark": "bar",
    "encoding": {
        "y": {"field": "attention", "type": "nominal", "title": None},
        "x": {
            "field": "share_of_baseline", "type": "quantitative", "title": "share of the baseline's time",
            "axis": {"format": "%"},
        },
        "color": {**colour("category", domain=CLASSES, many=True), "sort": list(CLASSES)},
        "opacity": FADED,
        "row": {
            "field": "model", "type": "nominal", "title": None, "sort": None,
            "header": {"labelAngle": 0, "labelAlign": "left"},
        },
        "tooltip": tooltip(COLUMNS, "model", "attention", "category", "seconds", "share", "share_of_baseline"),
    },
}  # fmt: skip
assert len(CLASSES) <= len(MANY_COLOURS)
