"""Groups of calls of a stage by arithmetic intensity, under the roof of the device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from graphlab.figures.charts import FADED, MANY_COLOURS, picks, quantity, tooltip
from graphlab.report.data import Estimate, NodeRow, StageReport
from graphlab.report.figure import Column, Figure, Value
from graphlab.report.rewrite_data import pattern
from graphlab.report.wording import ALL_FLOP, FUSED_BYTES

COLUMNS = (
    Column("kind", "kind", help="a group of calls, or a point of the device's roof"),
    Column("category", "category"),
    Column("op", "op"),
    Column("modules", "modules", help="numbers of a path as *"),
    Column("calls", "calls", help="an attention counts as one"),
    Column("flops", ALL_FLOP, "FLOP", "contractions and everything else"),
    Column("bytes", FUSED_BYTES, "B", "moved, attention fused"),
    Column("intensity", "arithmetic intensity", "FLOP/B"),
    Column("flop_per_s", "attainable", "FLOP/s", "FLOP over ideal time; of the roof, what it allows", estimate=True),
    Column("seconds", "ideal time", "s", "of one call of the stage", estimate=True),
    Column("share", "share", help="of the ideal time", estimate=True),
    Column("bound", "bound", help="what most of the ideal time goes to: arithmetic or traffic", estimate=True),
)


@dataclass(frozen=True, slots=True)
class _Point:
    """Calls alike: of one op in modules of one pattern; `flops` is None where one of them has no rule.

    `compute` are those of `seconds` in which arithmetic takes longer than traffic.
    """

    category: str
    op: str
    modules: str
    calls: int = 0
    flops: int | None = 0
    nbytes: int = 0
    seconds: float = 0.0
    compute: float = 0.0


def roofline_figure(stage: StageReport) -> Figure | None:
    """A point a group of calls alike, longest first, and the roof; None without a device."""
    estimate = stage.estimate
    if estimate is None:
        return None
    points = sorted(
        _points(stage, estimate), key=lambda point: (-point.seconds, point.category, point.modules, point.op)
    )
    whole = sum(point.seconds for point in points)
    drawn = [point for point in points if point.flops and point.nbytes and point.seconds]
    rows = [_row(point, whole) for point in points]
    if drawn:
        rows += list(_roof(drawn, estimate))
    notes = [f"a call at its roofline takes no overhead; the ridge is at {estimate.ridge:.4g} FLOP/B"]
    still = [point for point in points if point.flops is not None and point not in drawn]
    unknown = [point for point in points if point.flops is None]
    for left, what in ((still, "without FLOP"), (unknown, "without a rule, timed by their bytes alone")):
        if left:
            share = sum(point.seconds for point in left) / whole if whole else 0.0
            notes.append(f"in the table alone: {len(left)} groups {what}, {share:.1%} of the ideal time")
    notes.append("points off the roof run at another peak than the stage's dtype: pointwise work, TF32")
    return Figure(
        name=f"{stage.name}-roofline",
        title=f"{stage.name}: roofline",
        caption="One point a group of calls of one op in modules alike; its size is its share of the ideal time. Left "
        "of the ridge memory bounds what runs at the peak of the stage's dtype, right of it arithmetic.",
        columns=COLUMNS,
        rows=tuple(rows),
        chart=_chart(estimate) if drawn else None,
        notes=tuple(notes),
    )


def _points(stage: StageReport, estimate: Estimate) -> Iterator[_Point]:
    """Calls alike together; those of one attention are one call that moves what a fused kernel does."""
    moved = {row.node: row.bytes_fused for row in stage.attention}
    anchors = {row.name: row for row in stage.nodes if row.name in moved}
    found: dict[tuple[str, str, str], _Point] = {}
    for row in stage.nodes:
        site = anchors.get(row.attention) if row.attention is not None else None
        at = row if site is None else site
        key = ("attention" if site is not None else row.category, at.op, pattern(at.module))
        old = found.get(key, _Point(*key))
        nbytes = row.bytes_read + row.bytes_written
        if site is not None:
            nbytes = moved[site.name] if row.name == site.name else 0
        seconds = row.seconds or 0.0
        found[key] = replace(
            old,
            calls=old.calls + (site is None or row.name == site.name),
            flops=_added(old.flops, row),
            nbytes=old.nbytes + nbytes,
            seconds=old.seconds + seconds,
            compute=old.compute + (seconds if estimate.bound_of(seconds, nbytes) == "compute" else 0.0),
        )
    yield from found.values()


def _added(flops: int | None, row: NodeRow) -> int | None:
    if flops is None or row.flops is None or row.pointwise_flops is None:
        return None
    return flops + row.flops + row.pointwise_flops


def _row(point: _Point, whole: float) -> dict[str, Value]:
    intensity = point.flops / point.nbytes if point.flops is not None and point.nbytes else None
    return {
        "kind": "calls",
        "category": point.category,
        "op": point.op,
        "modules": point.modules,
        "calls": point.calls,
        "flops": point.flops,
        "bytes": point.nbytes,
        "intensity": intensity,
        "flop_per_s": point.flops / point.seconds if point.flops is not None and point.seconds else None,
        "seconds": point.seconds,
        "share": point.seconds / whole if whole else None,
        "bound": None if intensity is None else "compute" if point.compute > point.seconds / 2 else "memory",
    }


def _roof(points: Sequence[_Point], estimate: Estimate) -> Iterator[dict[str, Value]]:
    """Three points: on the bandwidth's line, the ridge, on the peak; left and right of every group."""
    reached = [point.flops / point.nbytes for point in points if point.flops is not None]
    for place in (min(*reached, estimate.ridge) / 2, estimate.ridge, max(*reached, estimate.ridge) * 2):
        yield {
            **dict.fromkeys((column.key for column in COLUMNS), None),
            "kind": "roof",
            "intensity": place,
            "flop_per_s": min(estimate.peak, place * estimate.bandwidth),
            "bound": "compute" if place >= estimate.ridge else "memory",
        }


def _chart(estimate: Estimate) -> dict[str, Any]:
    x = quantity("intensity", "arithmetic intensity (FLOP/B)", log=True)
    y = quantity("flop_per_s", "attainable FLOP/s", log=True)
    roof = {
        "transform": [{"filter": "datum.kind === 'roof'"}],
        "mark": {"type": "line", "color": "#555555"},
        "encoding": {"x": x, "y": y},
    }
    ridge = {
        "transform": [{"filter": f"datum.kind === 'roof' && datum.intensity === {estimate.ridge:.7g}"}],
        "mark": {"type": "rule", "color": "#555555", "strokeDash": [3, 3]},
        "encoding": {"x": x},
    }
    shown = ("category", "op", "modules", "calls", "intensity", "flop_per_s", "seconds", "share")
    groups = {
        "transform": [{"filter": "datum.kind === 'calls' && datum.flops > 0 && datum.seconds > 0"}],
        "params": picks("category"),
        "mark": {"type": "point", "filled": True, "stroke": "#222222", "strokeWidth": 0.5},
        "encoding": {
            "x": x, "y": y,
            "color": {
                "field": "category", "type": "nominal", "title": "category", "scale": {"range": list(MANY_COLOURS)},
            },
            "size": {
                "field": "share", "type": "quantitative", "title": "share of ideal time",
                "scale": {"type": "sqrt", "range": [20, 900]}, "legend": {"format": ".0%", "tickCount": 3},
            },
            "opacity": FADED,
            "tooltip": tooltip(COLUMNS, *shown),
        },
    }  # fmt: skip
    return {
        "description": "Scatter on log axes: attainable rate over arithmetic intensity, a mark a group of calls, below "
        "the roof of the device with its ridge.",
        "height": 360,
        "layer": [roof, ridge, groups],
    }
