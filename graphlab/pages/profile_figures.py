"""Measured times by category and node by node, with what was predicted beside them where it was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphlab.figures.charts import COLOURS, MANY_COLOURS, nominal, picks, quantity, tooltip
from graphlab.report.figure import Column, Figure, Value
from graphlab.report.profile_data import NodeTime, StageProfile

MOST_NODES = 5000

CATEGORY_COLUMNS = (
    Column("category", "category", help="every node of an attention is attention"),
    Column("nodes", "nodes"),
    Column("measured", "measured", "s", "of one call, sum of the medians of its nodes"),
    Column("predicted", "predicted", "s", "of one call", estimate=True),
    Column("error", "error", help="predicted / measured - 1"),
    Column("share", "share of measured"),
)
NODE_COLUMNS = (
    Column("place", "place", help="in call order"),
    Column("node", "node"),
    Column("op", "op"),
    Column("category", "category"),
    Column("role", "role"),
    Column("module", "module"),
    Column("measured", "measured", "s", "median over the rounds"),
    Column("low", "p10", "s"),
    Column("high", "p90", "s"),
    Column("share", "share", help="of the time on nodes"),
    Column("predicted", "predicted", "s", "0 for what runs nothing of its own", estimate=True),
    Column("error", "error", help="predicted / measured - 1"),
)
_ESTIMATES = ("predicted", "error")


def _own(node: NodeTime) -> str:
    return "attention" if node.attention is not None else node.category


def _error(predicted: float | None, measured: float) -> float | None:
    return None if predicted is None or not measured else predicted / measured - 1


def category_times_figure(stage: StageProfile, device: str | None) -> Figure:
    """A row a category of the first call that was run, longest first; `device` is what was predicted for."""
    call = stage.calls[0]
    groups: dict[str, list[NodeTime]] = {}
    for node in call.nodes:
        groups.setdefault(_own(node), []).append(node)
    whole = call.seconds_attributed
    rows: list[dict[str, Value]] = []
    for name, nodes in groups.items():
        seconds = sum(node.seconds for node in nodes)
        guess = None if device is None else sum(node.predicted or 0.0 for node in nodes)
        share = seconds / whole if whole else None
        rows.append({"category": name, "nodes": len(nodes), "measured": seconds, "predicted": guess,
                     "error": _error(guess, seconds), "share": share})  # fmt: skip
    rows.sort(key=lambda row: (-float(row["measured"] or 0), str(row["category"])))
    columns = tuple(c for c in CATEGORY_COLUMNS if device is not None or c.key not in _ESTIMATES)
    return Figure(
        name=f"{stage.name}-category-times",
        title=f"{stage.name}: {'measured and predicted' if device is not None else 'measured'} by category",
        caption=f"One call, step {call.step}{f'; predicted for {device}' if device is not None else ''}.",
        columns=columns,
        rows=tuple({column.key: row[column.key] for column in columns} for row in rows),
        chart=_bars(columns, len(rows)) if rows else None,
        notes=(f"{call.coverage:.1%} of the wall time of a round falls on nodes",),
    )


def _bars(columns: tuple[Column, ...], count: int) -> dict[str, Any]:
    kinds = [column.key for column in columns if column.key in ("measured", "predicted")]
    shown = [column.key for column in columns if column.key != "nodes"]
    return {
        "description": f"Bars, seconds by category: {' and '.join(kinds)}.",
        "transform": [{"fold": kinds, "as": ["time", "seconds"]}],
        "mark": "bar",
        "height": 18 * count * (1 + len(kinds)) // 2 + 20,
        "encoding": {
            "y": nominal("category"),
            "yOffset": {"field": "time", "type": "nominal"},
            "x": quantity("seconds", "s, one call"),
            "color": {
                "field": "time", "type": "nominal", "title": "time",
                "scale": {"domain": kinds, "range": [COLOURS[0], COLOURS[1]][: len(kinds)]},
            },
            "tooltip": tooltip(columns, *shown),
        },
    }  # fmt: skip


def node_times_figure(stage: StageProfile, device: str | None) -> Figure:
    """A row a node of the first call that was run; the chart is predicted over measured, none without predictions."""
    call = stage.calls[0]
    whole = call.seconds_attributed
    numbered = list(enumerate(call.nodes, 1))
    notes = []
    if len(numbered) > MOST_NODES:
        kept = sorted(numbered, key=lambda item: -item[1].seconds)[:MOST_NODES]
        notes.append(f"too many to list: the {MOST_NODES:,} longest of {len(numbered):,} nodes; --csv has all")
        numbered = sorted(kept, key=lambda item: item[0])
    columns = tuple(column for column in NODE_COLUMNS if device is not None or column.key not in _ESTIMATES)
    rows = tuple(_node_row(columns, place, node, whole) for place, node in numbered)
    drawn = any(row.get("predicted") and row["measured"] for row in rows)
    if drawn:
        notes.append("nodes that run nothing of their own, predicted as 0, are in the table alone")
    return Figure(
        name=f"{stage.name}-node-times",
        title=f"{stage.name}: node by node",
        caption=f"One call, step {call.step}." + (f" On the line, {device} is predicted to take what was measured."
                                                  if drawn else ""),
        columns=columns,
        rows=rows,
        chart=_scatter(rows) if drawn else None,
        notes=tuple(notes),
    )  # fmt: skip


def _node_row(columns: tuple[Column, ...], place: int, node: NodeTime, whole: float) -> dict[str, Value]:
    found: dict[str, Value] = {
        "place": place,
        "node": node.name,
        "op": node.op,
        "category": _own(node),
        "role": node.role,
        "module": node.module,
        "measured": node.seconds,
        "low": node.low,
        "high": node.high,
        "share": node.seconds / whole if whole else None,
        "predicted": node.predicted,
        "error": _error(node.predicted, node.seconds),
    }
    return {column.key: found[column.key] for column in columns}


def _scatter(rows: tuple[Mapping[str, Value], ...]) -> dict[str, Any]:
    drawn = [float(row[key] or 0) for row in rows if row["predicted"] and row["measured"] for key in row if
             key in ("measured", "predicted")]  # fmt: skip
    ends = [{"x": end, "y": end} for end in (min(drawn), max(drawn))]
    x, y = quantity("measured", "measured (s)", log=True), quantity("predicted", "predicted (s)", log=True)
    line = {
        "data": {"values": ends},
        "mark": {"type": "line", "color": "#555555", "strokeDash": [3, 3]},
        "encoding": {"x": {**x, "field": "x"}, "y": {**y, "field": "y"}},
    }
    points = {
        "transform": [{"filter": "datum.predicted > 0 && datum.measured > 0"}],
        "params": picks("category"),
        "mark": {"type": "point", "filled": True, "size": 45},
        "encoding": {
            "x": x, "y": y,
            "color": {
                "field": "category", "type": "nominal", "title": "category", "scale": {"range": list(MANY_COLOURS)},
            },
            "opacity": {"condition": {"param": "pick", "value": 0.8}, "value": 0.1},
            "tooltip": tooltip(NODE_COLUMNS, "node", "op", "module", "category", "measured", "predicted", "error"),
        },
    }  # fmt: skip
    return {
        "description": "Scatter on log axes: predicted over measured seconds of each node, and the line of equals.",
        "height": 360,
        "layer": [line, points],
    }
