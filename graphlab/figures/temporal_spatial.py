"""Temporal against spatial attention of video models: time, FLOPs and what their layout changes add."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.characterization.data import Characterization, ModelRun, StageSeries
from graphlab.figures.charts import FADED, colour, picks, quantity, tooltip
from graphlab.figures.notes import distinct, why_empty
from graphlab.figures.ways import WAY_HELP, WAYS, Way
from graphlab.kernels.data import Kernel, StageCall
from graphlab.report.figure import Column, Figure, Value

AXES = ("spatial", "temporal", "spatiotemporal")

COLUMNS = (
    Column("model", "model"),
    Column("stage", "stage"),
    Column("attention", "attention", help=WAY_HELP),
    Column("axis", "axis", help="what the queries run over"),
    Column("calls", "attentions of one call"),
    Column("seconds", "time", "s", "products, mask and softmax, one generation", estimate=True),
    Column("share_seconds", "share of attention time", estimate=True),
    Column("layout_seconds", "time of its layout changes", "s", "one generation", estimate=True),
    Column("share_with_layout", "share of attention time, layout changes included", estimate=True),
    Column("flops", "FLOPs", "FLOP", "of its products, one generation"),
    Column("share_flops", "share of attention FLOPs"),
)


def temporal_spatial(suite: Characterization) -> Figure:
    """Time and FLOPs of attention by axis, in every stage that has temporal attention."""
    rows: list[dict[str, Value]] = []
    for run in suite.models:
        for stage in run.stages:
            if any(attention.axis == "temporal" for attention in stage.run.first.attentions):
                rows.extend(row for way in WAYS for row in _rows(suite, run, stage, way))
    return Figure(
        name="temporal-spatial",
        title="Temporal and spatial attention",
        caption=(
            "Attention by the axis it runs over, one generation: estimated time, and FLOPs. Spatial attention includes "
            "cross attention of spatial queries; layout changes that belong to an attention count separately."
        ),
        columns=COLUMNS,
        rows=tuple(rows),
        chart=_CHART,
        notes=distinct(why_empty(rows, "no model of the suite has temporal attention"), _shares(rows)),
    )


def _rows(suite: Characterization, run: ModelRun, stage: StageSeries, way: Way) -> Iterator[dict[str, Value]]:
    seconds = suite.time(run, stage, way.runtime).by(_group)
    core = {axis: seconds.get(f"core {axis}", 0.0) for axis in AXES}
    layout = {axis: seconds.get(f"layout {axis}", 0.0) for axis in AXES}
    flops = {axis: stage.run.total(lambda call, axis=axis: _flops(call, way, axis)) for axis in AXES}  # type: ignore[misc]  # mypy cannot type a lambda's default
    whole, moved, work = sum(core.values()), sum(layout.values()), sum(flops.values())
    for axis in AXES:
        calls = sum(attention.axis == axis for attention in stage.run.first.attention_calls)
        if calls:
            yield {
                "model": run.name,
                "stage": stage.name,
                "attention": way.label,
                "axis": axis,
                "calls": calls,
                "seconds": core[axis],
                "share_seconds": core[axis] / whole if whole else None,
                "layout_seconds": layout[axis],
                "share_with_layout": (core[axis] + layout[axis]) / (whole + moved) if whole + moved else None,
                "flops": flops[axis],
                "share_flops": flops[axis] / work if work else None,
            }


def _group(kernel: Kernel) -> str:
    if kernel.category == "attention":
        return f"core {kernel.axis}"
    return f"layout {kernel.axis}" if kernel.category == "movement" and kernel.axis else "other"


def _flops(call: StageCall, way: Way, axis: str) -> int:
    return sum(k.flops for k in call.run(way.key) if k.category == "attention" and k.axis == axis)


def _shares(rows: list[dict[str, Value]]) -> Iterator[str]:
    for row in rows:
        if row["axis"] == "temporal":
            took, moved, work = (f"{row[key]:.0%}" for key in ("share_seconds", "share_with_layout", "share_flops"))
            yield (
                f"{row['model']} {row['stage']}, {row['attention']}: temporal attention takes {took} of attention time "
                f"({moved} with layout changes) and {work} of attention FLOPs"
            )


_CHART = {
    "description": "Bars, two charts side by side: attention time and attention FLOPs by axis, two bars a model.",
    "transform": [
        {"calculate": "datum.model + ', ' + datum.stage + ', ' + datum.attention", "as": "run"},
        {"calculate": "datum.seconds + datum.layout_seconds", "as": "seconds_with_layout"},
    ],
    "hconcat": [
        {
            "params": picks("axis") if field == "seconds" else [],
            "width": 200,
            "mark": "bar",
            "encoding": {
                "y": {"field": "run", "type": "nominal", "title": None, "sort": None,
                      "axis": {"labelLimit": 260, "labels": field == "seconds"}},
                "x": quantity(field, title),
                "color": colour("axis", domain=AXES),
                "opacity": FADED,
                "tooltip": tooltip(
                    COLUMNS, "model", "stage", "attention", "axis", "seconds", "share_seconds", "layout_seconds",
                    "share_with_layout", "flops", "share_flops",
                ),
            },
        }
        for field, title in (
            ("seconds", "attention time (s)"),
            ("seconds_with_layout", "with its layout changes (s)"),
            ("flops", "attention FLOPs (FLOP)"),
        )
    ],
}  # fmt: skip
