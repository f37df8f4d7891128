"""The times of a benchmark as a figure: medians with their spread, candidate by candidate."""

from __future__ import annotations

from typing import Any

from graphlab.figures.charts import COLOURS, facets, nominal, quantity, tooltip
from graphlab.report.bench_data import BenchReport, CandidateBench
from graphlab.report.figure import Column, Figure, Value

COLUMNS = (
    Column("stage", "stage"),
    Column("candidate", "candidate"),
    Column("seconds", "median", "s", "median over rounds"),
    Column("low", "p10", "s", "10th percentile over rounds"),
    Column("high", "p90", "s", "90th percentile over rounds"),
    Column("ratio", "times as fast", "", "as the base candidate; median of the ratios of a round"),
    Column("ratio_low", "at least", "", "lower end of the 95 % interval of the ratio"),
    Column("ratio_high", "at most", "", "upper end of the 95 % interval of the ratio"),
    Column("verdict", "verdict", "", "tie: the interval contains 1"),
    Column("compile_seconds", "compile", "s", "seconds of compiling"),
    Column("peak_bytes", "run peak", "B", "peak memory of the process while it ran"),
    Column("estimate", "estimate", "", "worked out from the seconds of a call"),
)


def bench_figure(report: BenchReport) -> Figure:
    """Seconds of every candidate that was timed, a panel a stage."""
    timed = ((stage, item) for stage in report.stages for item in stage.candidates if item.times is not None)
    rows = tuple(_row(stage.name, item) for stage, item in timed)
    unit = "one generation" if report.whole else "one call"
    return Figure(
        name="bench",
        title=f"{report.workload}: seconds of {unit}",
        caption=f"Median, and 10th to 90th percentile, on {report.environment.cpu}",
        columns=COLUMNS,
        rows=rows,
        chart=_chart(unit),
        notes=report.notes,
    )


def _row(stage: str, item: CandidateBench) -> dict[str, Value]:
    assert item.times is not None
    ratio = item.ratio
    interval = ratio.interval if ratio is not None else None
    return {
        "stage": stage,
        "candidate": item.label,
        "seconds": item.times.seconds,
        "low": item.times.low,
        "high": item.times.high,
        "ratio": ratio.median if ratio is not None else 1.0,
        "ratio_low": interval.low if interval is not None else None,
        "ratio_high": interval.high if interval is not None else None,
        "verdict": ratio.verdict if ratio is not None else "base",
        "compile_seconds": item.compile_seconds,
        "peak_bytes": item.memory.run_peak_bytes,
        "estimate": item.times.estimate,
    }


def _chart(unit: str) -> dict[str, Any]:
    lines = tooltip(COLUMNS, "candidate", "seconds", "low", "high", "ratio", "verdict", "compile_seconds", "peak_bytes")
    bars = {
        "mark": {"type": "bar", "color": COLOURS[0]},
        "encoding": {"x": quantity("seconds", f"s, {unit}"), "y": nominal("candidate"), "tooltip": lines},
    }
    spread = {
        "mark": {"type": "rule", "strokeWidth": 2},
        "encoding": {"x": quantity("low", f"s, {unit}"), "x2": {"field": "high"}, "y": nominal("candidate")},
    }
    return facets("stage", 1, {"width": 420, "height": {"step": 22}, "layer": [bars, spread]}, free=("x",))
