"""How the FLOP of one call grow along each size that was captured as a symbol."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from graphlab.errors import BindingError
from graphlab.figures.charts import colour, picks, quantity, tooltip
from graphlab.report.data import StageReport
from graphlab.report.figure import Column, Figure, Value
from graphlab.symbolic import evaluate_any

FACTORS = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
MOST_AXES = 8

COLUMNS = (
    Column("axis", "size", help="image_side: height and width together"),
    Column("factor", "times its value"),
    Column("value", "value"),
    Column("flops", "FLOP", "FLOP", "of contractions of one call"),
    Column("relative", "times the FLOP"),
)


def growth_figure(stage: StageReport) -> Figure | None:
    """FLOP at whole multiples of each size, the others as they are; None where every size is fixed."""
    if not stage.scaling:
        return None
    axes = [item.symbol for item in stage.scaling][:MOST_AXES]
    rows = tuple(row for axis in axes for row in _rows(stage, axis))
    notes = ["from the expression of FLOP; whether the capture's guards allow a size is not asked"]
    if stage.unknown:
        notes.append(f"FLOP without those of {stage.unknown_nodes} calls that have no rule")
    if len(stage.scaling) > MOST_AXES:
        notes.append(f"{MOST_AXES} of {len(stage.scaling)} sizes are drawn")
    return Figure(
        name=f"{stage.name}-growth",
        title=f"{stage.name}: FLOP over each size",
        caption="FLOP of one call as one size grows and the others stay, both as multiples of what they are here.",
        columns=COLUMNS,
        rows=rows,
        chart=_CHART if rows else None,
        notes=tuple(notes),
    )


def _rows(stage: StageReport, axis: str) -> Iterator[dict[str, Value]]:
    here = _flops(stage, stage.symbols)
    members = _members(stage, axis)
    for factor in FACTORS:
        sizes = {name: stage.symbols[name] * factor for name in members if name in stage.symbols}
        if not here or not sizes or any(size != int(size) or size < 1 for size in sizes.values()):
            continue
        flops = _flops(stage, {**stage.symbols, **{name: int(size) for name, size in sizes.items()}})
        if flops is None:
            continue
        yield {
            "axis": axis,
            "factor": factor,
            "value": " x ".join(str(int(size)) for size in sizes.values()),
            "flops": flops,
            "relative": flops / here,
        }


def _members(stage: StageReport, axis: str) -> list[str]:
    """The sizes behind a line of the table of growth: for image_side every height and width."""
    if axis != "image_side":
        return [axis]
    return [name for name in stage.symbols if name in ("height", "width") or name.endswith((".h", ".w"))]


def _flops(stage: StageReport, sizes: Mapping[str, int]) -> int | None:
    """None where there is no expression, or it cannot be worked out at `sizes`."""
    if stage.flops_expression is None:
        return None
    try:
        value = evaluate_any(stage.flops_expression, sizes)
    except BindingError:
        return None
    return round(value)


_CHART: dict[str, Any] = {
    "description": "Lines on log axes: FLOP of one call over each size, as multiples of those here.",
    "params": picks("axis"),
    "mark": {"type": "line", "point": {"size": 45}},
    "height": 280,
    "encoding": {
        "x": quantity("factor", "times the size", log=True, format=".3~g"),
        "y": quantity("relative", "times the FLOP", log=True, format=".3~g"),
        "color": colour("axis", "size", many=True),
        "opacity": {"condition": {"param": "pick", "value": 1}, "value": 0.12},
        "tooltip": tooltip(COLUMNS, "axis", "value", "factor", "flops", "relative"),
    },
}
