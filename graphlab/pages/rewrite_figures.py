"""A stage before and after its rewrites: figures, operators, changes and refusals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from graphlab.figures.charts import COLOURS, nominal, tooltip
from graphlab.report.figure import Column, Figure, Value
from graphlab.report.rewrite_data import StageRewrite
from graphlab.report.wording import SPELLED_BYTES
from graphlab.units import format_bytes, format_count

MOST_BARS = 24

FIGURE_COLUMNS = (
    Column("measure", "measure"),
    Column("before_text", "before"),
    Column("after_text", "after"),
    Column("share", "share left", help="after over before"),
)
OPERATOR_COLUMNS = (
    Column("op", "op"),
    Column("before", "calls before"),
    Column("after", "calls after"),
    Column("change", "change"),
)
CHANGE_COLUMNS = (
    Column("place", "place", help="in the order they were made"),
    Column("pass_name", "pass"),
    Column("values", "values", help="approximate: the pass means to change values"),
    Column("why", "why"),
    Column("module", "module"),
    Column("source", "source"),
    Column("before", "before"),
    Column("after", "after", help="nothing where a value was taken out"),
)
SKIP_COLUMNS = (
    Column("pass_name", "pass"),
    Column("count", "candidates"),
    Column("why", "why"),
    Column("module", "in", help="numbers of a path as *"),
    Column("source", "source", help="of the first"),
    Column("nodes", "nodes"),
)


def before_after_figure(stage: StageRewrite) -> Figure:
    """A bar a measure: what is left of it."""
    before, after = stage.before, stage.after
    measures: tuple[tuple[str, int | None, int | None, Callable[[int], str]], ...] = (
        ("calls", before.nodes, after.nodes, str),
        ("FLOP", before.flops, after.flops, format_count),
        ("pointwise FLOP", before.pointwise_flops, after.pointwise_flops, format_count),
        (SPELLED_BYTES, before.bytes, after.bytes, format_bytes),
        ("peak activations", before.peak_bytes, after.peak_bytes, format_bytes),
        ("weights", before.weight_bytes, after.weight_bytes, format_bytes),
    )
    rows: list[dict[str, Value]] = [
        {"measure": name, "before_text": text(old), "after_text": text(new), "share": new / old}
        for name, old, new, text in measures
        if old and new is not None
    ]
    left = before.unknown or after.unknown
    told = f"FLOP without those of calls without a rule: {before.unknown} before, {after.unknown} after"
    return Figure(
        name=f"{stage.name}-before-after",
        title=f"{stage.name}: what is left",
        caption="After the rewrites, of one call, as a share of what it was.",
        columns=FIGURE_COLUMNS,
        rows=tuple(rows),
        chart=_shares(len(rows)) if rows else None,
        notes=(told,) if left else (),
    )


def _shares(count: int) -> dict[str, Any]:
    x = {
        "field": "share", "type": "quantitative", "title": "after / before", "axis": {"format": "%"},
        "scale": {"zero": True},
    }  # fmt: skip
    bars = {
        "mark": {"type": "bar", "color": COLOURS[0]},
        "encoding": {
            "x": x,
            "y": nominal("measure"),
            "tooltip": tooltip(FIGURE_COLUMNS, "measure", "before_text", "after_text", "share"),
        },
    }
    line = {"mark": {"type": "rule", "strokeDash": [3, 3]}, "encoding": {"x": {"datum": 1, "type": "quantitative"}}}
    return {
        "description": "Bars: what is left of each measure after the rewrites; a line at 100 %.",
        "height": 28 * count,
        "layer": [bars, line],
    }


def operators_figure(stage: StageRewrite) -> Figure:
    """A row an operator whose number of calls changed, the largest change first."""
    old, new = stage.before.operators, stage.after.operators
    names = dict.fromkeys((*old, *new))
    changed = [(name, old.get(name, 0), new.get(name, 0)) for name in names if old.get(name, 0) != new.get(name, 0)]
    changed.sort(key=lambda item: (-abs(item[2] - item[1]), item[0]))
    rows: tuple[dict[str, Value], ...] = tuple(
        {"op": n, "before": a, "after": b, "change": b - a} for n, a, b in changed
    )
    same = len(names) - len(changed)
    notes = [f"{same} operators have as many calls as before"] if same else []
    if len(rows) > MOST_BARS:
        notes.append(f"the {MOST_BARS} largest changes are drawn; the table has all {len(rows)}")
    return Figure(
        name=f"{stage.name}-operators",
        title=f"{stage.name}: calls by operator",
        caption="From the empty mark, before, to the full one, after.",
        columns=OPERATOR_COLUMNS,
        rows=rows,
        chart=_dumbbells([str(row["op"]) for row in rows[:MOST_BARS]]) if rows else None,
        notes=tuple(notes),
    )


def _dumbbells(shown: Sequence[str]) -> dict[str, Any]:
    lines = tooltip(OPERATOR_COLUMNS, "op", "before", "after", "change")
    y = nominal("op")
    points = {
        name: {
            "mark": {"type": "point", "filled": name == "after", "size": 70, "color": COLOURS[0]},
            "encoding": {"x": _calls(name), "y": y, "tooltip": lines},
        }
        for name in ("before", "after")
    }
    rule = {
        "mark": {"type": "rule", "color": COLOURS[0]},
        "encoding": {"x": _calls("before"), "x2": {"field": "after"}, "y": y},
    }
    return {
        "description": "A line an operator from its calls before to those after.",
        "height": 22 * len(shown),
        "transform": [{"filter": {"field": "op", "oneOf": list(shown)}}],
        "layer": [rule, points["before"], points["after"]],
    }


def _calls(field: str) -> dict[str, Any]:
    """An axis of whole calls: no two ticks round to the same number."""
    return {
        "field": field, "type": "quantitative", "title": "calls", "axis": {"format": "d", "tickMinStep": 1},
    }  # fmt: skip


def changes_figure(stage: StageRewrite) -> Figure:
    """A row a change, as a table."""
    rows = tuple(_changes(stage))
    return Figure(
        name=f"{stage.name}-changes",
        title=f"{stage.name}: every change",
        caption="In the order they were made.",
        columns=CHANGE_COLUMNS,
        rows=rows,
        chart=None,
        notes=() if rows else ("no pass found anything to change",),
    )


def _changes(stage: StageRewrite) -> Iterator[dict[str, Value]]:
    inexact = {row.name for row in stage.passes if not row.exact}
    for place, change in enumerate(stage.changes, 1):
        yield {
            "place": place,
            "pass_name": change.pass_name,
            "values": "approximate" if change.pass_name in inexact else "kept",
            "why": change.why,
            "module": change.module,
            "source": change.source,
            "before": ", ".join(value.before for value in change.values),
            "after": ", ".join(value.after for value in change.values if value.after),
        }


def skips_figure(stage: StageRewrite) -> Figure:
    """A row for the candidates of one pass that stayed for one reason, as a table."""
    rows: tuple[dict[str, Value], ...] = tuple(
        {
            "pass_name": group.pass_name,
            "count": group.count,
            "why": group.why,
            "module": group.module,
            "source": group.source,
            "nodes": ", ".join(group.nodes),
        }
        for group in stage.skips
    )
    return Figure(
        name=f"{stage.name}-skips",
        title=f"{stage.name}: every refusal",
        caption="Candidates that stayed, those of one pass, reason and pattern of modules together.",
        columns=SKIP_COLUMNS,
        rows=rows,
        chart=None,
        notes=() if rows else ("no pass left a candidate",),
    )
