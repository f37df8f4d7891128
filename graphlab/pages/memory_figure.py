"""Activations alive over the calls of a stage, and what is alive at the peak."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphlab.figures.charts import COLOURS, quantity, tooltip
from graphlab.report.data import NodeRow, StageReport
from graphlab.report.figure import Column, Figure, Value
from graphlab.report.tables import Column as Head
from graphlab.report.tables import Table
from graphlab.units import format_bytes, format_share

MOST_POINTS = 4000
MOST_TENSORS = 30

COLUMNS = (
    Column("place", "place", help="in call order"),
    Column("node", "call"),
    Column("op", "op"),
    Column("module", "module"),
    Column("fused", "alive, fused", "B", "activations while it runs, attention fused"),
    Column("materialized", "alive, scores in memory", "B", "activations while it runs, attention scores in memory"),
)


def memory_figure(stage: StageReport) -> Figure:
    """A row a call; of a stage of many calls the fullest of several in a row, which a note says."""
    known = [(place, row) for place, row in enumerate(stage.nodes, 1) if row.live is not None]
    step = -(-len(known) // MOST_POINTS) if known else 1
    points = [max(known[at : at + step], key=lambda item: _fused(item[1])) for at in range(0, len(known), step)]
    peak = max(points, key=lambda item: _fused(item[1]), default=None)
    notes = [f"each point is the fullest of {step} calls in a row"] if step > 1 else []
    if not points:
        notes.append("the report does not say what is alive at each call")
    return Figure(
        name=f"{stage.name}-memory",
        title=f"{stage.name}: activations alive over one call",
        caption="Bytes of activations, in call order. An activation lives from the call that makes it to its last "
        "reader; weights are not among them. The dot is the peak with fused attention.",
        columns=COLUMNS,
        rows=tuple(_row(place, row) for place, row in points),
        chart=_chart(peak[0]) if peak is not None else None,
        notes=tuple(notes),
    )


def _fused(row: NodeRow) -> int:
    return row.live.fused if row.live is not None else 0


def _row(place: int, row: NodeRow) -> dict[str, Value]:
    assert row.live is not None
    return {
        "place": place,
        "node": row.name,
        "op": row.op,
        "module": row.module,
        "fused": row.live.fused,
        "materialized": row.live.materialized,
    }


def peak_table(stage: StageReport) -> Table | None:
    """The activations alive at the peak, the largest first; None where the report does not say."""
    if not stage.at_peak:
        return None
    whole = stage.peak_activation_bytes.fused
    homes = {row.name: row for row in stage.nodes}
    shown = stage.at_peak[:MOST_TENSORS]
    rows = tuple(
        (
            tensor.node,
            tensor.kind,
            homes[tensor.node].module if tensor.node in homes else "",
            " x ".join(map(str, tensor.shape)) or "scalar",
            tensor.dtype,
            format_bytes(tensor.nbytes),
            format_share(tensor.nbytes, whole),
        )
        for tensor in shown
    )
    columns = (*(Head(head, number=False) for head in ("made by", "kind", "in", "shape", "dtype")), Head("bytes"),
               Head("share"))  # fmt: skip
    rest = stage.at_peak[MOST_TENSORS:]
    more = f"; {len(rest)} smaller ones, {format_bytes(sum(t.nbytes for t in rest))}, are not shown" if rest else ""
    note = f"{format_bytes(whole)} at {stage.peak_node}, attention fused{more}"
    return Table(f"{stage.name}: alive at the peak", columns, rows, note=note)


def _chart(peak: int) -> dict[str, Any]:
    x = quantity("place", "call", format=",d")
    y = quantity("alive", "B", format=".3~s")
    names: Sequence[str] = ("fused", "materialized")
    lines = {
        "mark": {"type": "line", "interpolate": "step-after", "strokeWidth": 1.5},
        "encoding": {
            "x": x, "y": y,
            "color": {
                "field": "attention", "type": "nominal", "title": "attention",
                "scale": {"domain": list(names), "range": [COLOURS[0], COLOURS[3]]},
            },
            "strokeDash": {
                "field": "attention", "type": "nominal", "title": "attention",
                "scale": {"domain": list(names), "range": [[1, 0], [4, 3]]},
            },
        },
    }  # fmt: skip
    dot = {
        "transform": [{"filter": f"datum.place === {peak} && datum.attention === 'fused'"}],
        "mark": {"type": "point", "filled": True, "size": 70, "color": "#000000"},
        "encoding": {"x": x, "y": y, "tooltip": tooltip(COLUMNS, "node", "op", "module", "fused", "materialized")},
    }
    return {
        "description": "Lines: bytes of activations over the calls, with fused attention and with scores in memory.",
        "transform": [{"fold": list(names), "as": ["attention", "alive"]}],
        "height": 240,
        "layer": [lines, dot],
    }
