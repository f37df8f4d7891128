"""The modules of a stage as an icicle: a row of boxes a level, each as wide as its share of the whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from graphlab.figures.charts import colour, tooltip
from graphlab.pages.module_sums import ModuleSum, heaviest, left_out, module_sums
from graphlab.report.data import StageReport
from graphlab.report.figure import Column, Figure, Value
from graphlab.report.wording import MATERIALIZED_BYTES, count_text, time_text
from graphlab.units import format_bytes, format_count

MOST_BOXES = 400
LEAST = 1 / 1000
"""Share below which a box would be narrower than a line."""

COLUMNS = (
    Column("measure", "measure"),
    Column("module", "module"),
    Column("module_class", "class"),
    Column("level", "level", help="1 is the stage itself"),
    Column("calls", "calls"),
    Column("amount", "amount", help="of one call, with everything in the module"),
    Column("share", "share", help="of the whole stage"),
    Column("share_from", "from", help="left end of its box"),
    Column("share_to", "to", help="right end of its box"),
)

_Amount = tuple[Callable[[ModuleSum], float], Callable[[ModuleSum], str]]
_MEASURES: dict[str, _Amount] = {
    "ideal time": (lambda row: row.cost.seconds or 0.0, lambda row: time_text(row.cost)),
    "FLOP": (lambda row: row.cost.flops or 0, lambda row: count_text(row.cost.flops, row.cost.unknown, "FLOP")),
    MATERIALIZED_BYTES: (lambda row: row.cost.bytes, lambda row: format_bytes(row.cost.bytes)),
    "parameters": (lambda row: row.parameters, lambda row: format_count(row.parameters)),
    "attention FLOP": (lambda row: row.attention_flops, lambda row: format_count(row.attention_flops, "FLOP")),
}


def module_figure(stage: StageReport) -> Figure:
    """Rows for each measure of which `stage` has any; the chart shows one at a time."""
    sums = module_sums(stage)
    measures = [name for name, (amount, _) in _MEASURES.items() if amount(sums[0])]
    shown = {name: _wide(sums, _MEASURES[name][0]) for name in measures}
    rows = tuple(row for name in measures for row in _rows(stage.name, name, shown[name][0]))
    return Figure(
        name=f"{stage.name}-modules",
        title=f"{stage.name}: where it goes, module by module",
        caption="One call. Each row of boxes is a level of modules; a box is as wide as its share of the measure, and "
        "stands below the module it is in.",
        columns=COLUMNS,
        rows=rows,
        chart=_chart(measures, 1 + max(row.level for kept, _ in shown.values() for row in kept)) if rows else None,
        notes=tuple(_notes(shown, sums)),
    )


def _wide(sums: Sequence[ModuleSum], amount: Callable[[ModuleSum], float]) -> tuple[list[ModuleSum], int]:
    """(modules that get a box, how many would be wide enough)."""
    whole = amount(sums[0])
    wide = [row for row in sums if amount(row) >= LEAST * whole]
    return heaviest(wide, MOST_BOXES, amount, lambda row: row.level), len(wide)


def _notes(shown: dict[str, tuple[list[ModuleSum], int]], sums: Sequence[ModuleSum]) -> Iterator[str]:
    whole = len(sums)
    for name, (kept, wide) in shown.items():
        unknown = sum(row.cost.flops is None for row in sums) if name == "FLOP" else 0
        calls = sums[0].cost.unknown if name == "FLOP" else 0
        left = whole - wide - unknown
        small = f"{left:,} of {whole:,} modules have less than {LEAST:.1%} and no box" if left else ""
        dark = f"the FLOP of {unknown:,} of {whole:,} modules are unknown: they have no box" if unknown else ""
        partly = f"without those of {calls} calls that have no rule" if calls else ""
        said = "; ".join(filter(None, (small, dark, partly, left_out(len(kept), wide, name))))
        if said:
            yield f"{name}: {said}"


def _rows(stage: str, measure: str, rows: Sequence[ModuleSum]) -> Iterator[dict[str, Value]]:
    amount, text = _MEASURES[measure]
    whole = amount(rows[0])
    ends: dict[str, float] = {}
    for row in rows:
        parent = row.path.rpartition(".")[0]
        start = ends.get(parent, 0.0) if row.path else 0.0
        share = amount(row) / whole
        ends[row.path] = start
        if row.path:
            ends[parent] = start + share
        yield {
            "measure": measure,
            "module": row.path or stage,
            "module_class": row.module_class,
            "level": row.level + 1,
            "calls": row.cost.nodes,
            "amount": text(row),
            "share": share,
            "share_from": start,
            "share_to": start + share,
        }


def _chart(measures: Sequence[str], levels: int) -> dict[str, Any]:
    x = {
        "field": "share_from", "type": "quantitative", "title": "share", "scale": {"domain": [0, 1], "nice": False},
        "axis": {"format": "%", "orient": "top", "grid": False},
    }  # fmt: skip
    y = {"field": "level", "type": "ordinal", "title": "level"}
    boxes = {
        "mark": {"type": "rect", "stroke": "#333333", "strokeWidth": 0.5, "fillOpacity": 0.45},
        "encoding": {
            "x": x, "x2": {"field": "share_to"}, "y": y,
            "color": {**colour("part", many=True), "legend": None},
            "tooltip": tooltip(COLUMNS, "module", "module_class", "amount", "share", "calls"),
        },
    }  # fmt: skip
    names = {
        "transform": [{"filter": "(datum.share_to - datum.share_from) * width > 7 * length(datum.label) + 6"}],
        "mark": {"type": "text", "fontSize": 11, "tooltip": False},
        "encoding": {
            "x": {"field": "middle", "type": "quantitative"}, "y": y, "text": {"field": "label", "type": "nominal"},
        },
    }  # fmt: skip
    chosen: dict[str, Any] = {"name": "shown_measure", "value": measures[0]}
    if len(measures) > 1:
        chosen["bind"] = {"input": "select", "options": list(measures), "name": "measure "}
    return {
        "description": "Icicle: boxes of modules, a row a level from the stage down, as wide as their share.",
        "params": [chosen],
        "transform": [
            {"filter": "datum.measure === shown_measure"},
            {"calculate": "datum.level === 1 ? '' : split(datum.module, '.')[0]", "as": "part"},
            {"calculate": "datum.level === 1 ? datum.module : peek(split(datum.module, '.'))", "as": "label"},
            {"calculate": "(datum.share_from + datum.share_to) / 2", "as": "middle"},
        ],
        "height": 30 * levels,
        "layer": [boxes, names],
    }
