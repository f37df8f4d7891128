"""How many times as fast as the base each candidate of a bench is, with intervals: ties are said to be ties."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from graphlab.figures.charts import COLOURS, nominal, quantity, tooltip
from graphlab.report.bench_data import BenchReport, Ratio
from graphlab.report.figure import Column, Figure, Value

COLUMNS = (
    Column("stage", "stage"),
    Column("candidate", "candidate"),
    Column("ratio", "times as fast", help="as the base; median of the ratios of a round"),
    Column("low", "at least", help="lower end of the 95 % interval"),
    Column("high", "at most", help="upper end of the 95 % interval"),
    Column("rounds", "rounds"),
    Column("verdict", "verdict", help="tie: the interval contains 1; too few rounds: there is no interval"),
)
_COLOURS = {"faster": COLOURS[2], "tie": "#777777", "slower": COLOURS[3], "too few rounds": COLOURS[1]}


def ratio_figure(report: BenchReport) -> Figure:
    """A row a candidate with a ratio, stage by stage, the whole generation last."""
    rows = tuple(_rows(report))
    ties = sum(row["verdict"] == "tie" for row in rows)
    notes = [f"{ties} of {len(rows)} are ties: their intervals contain 1"] if ties else []
    bases = dict.fromkeys(
        f"{stage.name}: the base is {stage.base}" for stage in report.stages if stage.base is not None
    )
    if not rows:
        notes.append("no candidate was timed beside a base")
    return Figure(
        name="ratios",
        title=f"{report.workload}: times as fast as the base",
        caption="Median of the ratios of a round, with its 95 % interval; the line is the base's own speed.",
        columns=COLUMNS,
        rows=rows,
        chart=_chart(rows) if rows else None,
        notes=(*notes, *bases),
    )


def _rows(report: BenchReport) -> Iterator[dict[str, Value]]:
    for stage in report.stages:
        for item in stage.candidates:
            if item.ratio is not None:
                yield _row(stage.name, item.label, item.ratio)
    for total in report.totals:
        if total.ratio is not None:
            yield _row("whole generation", total.label, total.ratio)


def _row(stage: str, label: str, ratio: Ratio) -> dict[str, Value]:
    known = ratio.interval
    return {
        "stage": stage,
        "candidate": label,
        "ratio": ratio.median,
        "low": None if known is None else known.low,
        "high": None if known is None else known.high,
        "rounds": ratio.rounds,
        "verdict": "too few rounds" if ratio.verdict == "unknown" else ratio.verdict,
    }


def _chart(rows: Sequence[Mapping[str, Value]]) -> dict[str, Any]:
    several = len({row["stage"] for row in rows}) > 1
    label = "datum.stage + ': ' + datum.candidate" if several else "datum.candidate"
    colour = {
        "field": "verdict", "type": "nominal", "title": "verdict",
        "scale": {"domain": list(_COLOURS), "range": list(_COLOURS.values())},
    }  # fmt: skip
    lines = tooltip(COLUMNS, "candidate", "ratio", "low", "high", "rounds", "verdict")
    x = quantity("ratio", "times as fast as the base", format=".3~g")
    interval = {
        "transform": [{"filter": "datum.low !== null"}],
        "mark": {"type": "rule", "strokeWidth": 2},
        "encoding": {
            "x": {**x, "field": "low"}, "x2": {"field": "high"}, "y": nominal("row"), "color": colour,
        },
    }  # fmt: skip
    point = {
        "mark": {"type": "point", "filled": True, "size": 80},
        "encoding": {
            "x": x, "y": nominal("row"), "color": colour, "tooltip": lines,
            "shape": {
                "field": "verdict", "type": "nominal", "title": "verdict",
                "scale": {"domain": list(_COLOURS), "range": ["triangle-right", "circle", "triangle-left", "cross"]},
            },
        },
    }  # fmt: skip
    base = {
        "mark": {"type": "rule", "strokeDash": [3, 3], "color": "#555555"},
        "encoding": {"x": {"datum": 1, "type": "quantitative"}},
    }
    return {
        "description": "Points with intervals, a row a candidate: times as fast as the base, which is the line at 1.",
        "transform": [{"calculate": label, "as": "row"}],
        "height": 26 * len(rows),
        "layer": [base, interval, point],
    }
