"""Operator-time breakdown: where a generation's time goes, attention with its scores in memory and fused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from graphlab.characterization.data import BASELINE, FUSED, Characterization, ModelRun
from graphlab.figures.data import Column, Figure, Value
from graphlab.ops.rule import CATEGORIES
from graphlab.prediction.data import category

COLUMNS = (
    Column("model", "model"),
    Column("attention", "attention", help="scores in memory (baseline), or one fused kernel"),
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
    for label, runtime in (("baseline", BASELINE), ("fused", FUSED)):
        groups = suite.by(run, runtime, category)
        own = sum(groups.values())
        for name in (*CATEGORIES, "idle"):
            if name in groups:
                yield {
                    "model": run.name,
                    "attention": label,
                    "category": name,
                    "seconds": groups[name],
                    "share": groups[name] / own if own else None,
                    "share_of_baseline": groups[name] / whole if whole else None,
                }


_CHART = {
    "mark": {"type": "bar", "tooltip": True},
    "encoding": {
        "y": {"field": "attention", "type": "nominal", "title": None},
        "x": {"field": "share_of_baseline", "type": "quantitative", "axis": {"format": "%"}},
        "color": {"field": "category", "type": "nominal"},
        "row": {"field": "model", "type": "nominal", "header": {"labelAngle": 0, "labelAlign": "left"}},
        "tooltip": [
            {"field": "model"}, {"field": "attention"}, {"field": "category"},
            {"field": "seconds", "format": ".4g"}, {"field": "share", "format": ".1%"},
        ],
    },
}  # fmt: skip
