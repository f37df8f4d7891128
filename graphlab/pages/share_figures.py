"""Shares of a generation by stage and of one call by category, and the attentions of a call in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from graphlab.figures.charts import MANY_COLOURS, colour, nominal, picks, quantity, tooltip
from graphlab.report.data import AnalysisReport, StageReport
from graphlab.report.figure import Column, Figure, Value
from graphlab.report.wording import ALL_FLOP, FUSED_BYTES, MATERIALIZED_BYTES, marked
from graphlab.units import format_value

STAGE_COLUMNS = (
    Column("measure", "measure"),
    Column("stage", "stage"),
    Column("calls", "calls", help="of one generation"),
    Column("amount", "amount", help="of all calls; ideal times are estimates"),
    Column("share", "share"),
)
CATEGORY_COLUMNS = (
    Column("measure", "measure"),
    Column("category", "category"),
    Column("calls", "calls"),
    Column("amount", "amount", help="of one call; ideal times are estimates"),
    Column("share", "share"),
)
ATTENTION_COLUMNS = (
    Column("place", "place", help="in call order"),
    Column("node", "node"),
    Column("module", "module"),
    Column("kind", "kind"),
    Column("axis", "axis"),
    Column("causal", "causal"),
    Column("fused", "one op", help="whether the model calls one fused op"),
    Column("batch", "batch"),
    Column("heads", "heads"),
    Column("q_tokens", "queries", "token"),
    Column("kv_tokens", "keys", "token"),
    Column("head_dim", "width"),
    Column("flops", "FLOP", "FLOP"),
    Column("score_bytes", "score matrix", "B"),
    Column("seconds", "ideal time", "s", estimate=True),
)


def stages_figure(report: AnalysisReport) -> Figure:
    """What each stage is of a whole generation: FLOP, bytes and, with a device, ideal time."""
    rows = tuple(_stage_rows(report))
    return Figure(
        name="generation",
        title="Stages over one generation",
        caption="All calls of all steps; FLOP of contractions; attention fused.",
        columns=STAGE_COLUMNS,
        rows=rows,
        chart=_bars("stage", rows, [stage.name for stage in report.stages]) if rows else None,
        notes=tuple(
            f"{stage.name}: FLOP without those of {stage.unknown_nodes} calls that have no rule"
            for stage in report.stages
            if stage.unknown
        ),
    )


def _stage_rows(report: AnalysisReport) -> Iterator[dict[str, Value]]:
    stages = report.stages
    measures: dict[str, list[float | None]] = {
        "FLOP": [stage.flops_total for stage in stages],
        FUSED_BYTES: [stage.bytes_total.fused for stage in stages],
        "ideal time": [stage.estimate.seconds_total if stage.estimate is not None else None for stage in stages],
    }
    for measure, amounts in measures.items():
        whole = sum(amount for amount in amounts if amount is not None)
        for stage, amount in zip(stages, amounts, strict=True):
            if whole and amount is not None:
                calls = stage.steps * stage.calls_per_step
                text = _text(measure, amount, stage.unknown_nodes)
                share = amount / whole
                yield {"measure": measure, "stage": stage.name, "calls": calls, "amount": text, "share": share}


_UNITS = {"FLOP": "FLOP", ALL_FLOP: "FLOP", FUSED_BYTES: "B", MATERIALIZED_BYTES: "B", "ideal time": "s"}


def _text(measure: str, amount: float, unknown: int) -> str:
    """`amount` with its unit, "+" where `unknown` calls are not in it, or in it by their bytes alone."""
    text = format_value(amount, _UNITS[measure])
    return text if _UNITS[measure] == "B" else marked(text, unknown)


def categories_figure(stage: StageReport) -> Figure:
    """What each category is of one call: FLOP, bytes and, with a device, ideal time."""
    groups = stage.categories
    measures: dict[str, Mapping[str, float]] = {
        ALL_FLOP: {
            n: g.flops + g.pointwise_flops
            for n, g in groups.items()
            if g.flops is not None and g.pointwise_flops is not None
        },
        MATERIALIZED_BYTES: {name: group.bytes for name, group in groups.items()},
        "ideal time": {name: group.seconds or 0.0 for name, group in groups.items()},
    }
    rows: list[Mapping[str, Value]] = []
    for measure, amounts in measures.items():
        whole = sum(amounts.values())
        rows += [
            {
                "measure": measure,
                "category": n,
                "calls": groups[n].nodes,
                "amount": _text(measure, amount, groups[n].unknown),
                "share": amount / whole,
            }
            for n, amount in amounts.items()
            if whole
        ]
    left = sum(group.unknown for group in groups.values())
    return Figure(
        name=f"{stage.name}-categories",
        title=f"{stage.name}: one call by category",
        caption="All FLOP: of contractions and everything else; materialized bytes: with attention scores in memory; "
        "ideal time with fused attention.",
        columns=CATEGORY_COLUMNS,
        rows=tuple(rows),
        chart=_bars("category", rows, list(groups)) if rows else None,
        notes=(f"{ALL_FLOP}: without those of {left} calls that have no rule",) if left else (),
    )


def _bars(field: str, rows: Sequence[Mapping[str, Value]], domain: list[str]) -> dict[str, Any]:
    columns = STAGE_COLUMNS if field == "stage" else CATEGORY_COLUMNS
    return {
        "description": f"Stacked bars, one a measure: shares by {field}.",
        "mark": {"type": "bar", "stroke": "#ffffff", "strokeWidth": 0.5},
        "height": 34 * len({row["measure"] for row in rows}),
        "params": picks(field),
        "encoding": {
            "y": nominal("measure"),
            "x": {
                "field": "share", "type": "quantitative", "title": "share", "axis": {"format": "%"},
                "scale": {"domain": [0, 1], "nice": False},
            },
            "color": {
                "field": field, "type": "nominal", "title": field, "sort": None,
                "scale": {"domain": domain, "range": list(MANY_COLOURS)},
            },
            "order": {"field": "place", "type": "quantitative"},
            "opacity": {"condition": {"param": "pick", "value": 1}, "value": 0.12},
            "tooltip": tooltip(columns, "measure", field, "calls", "amount", "share"),
        },
        "transform": [{"window": [{"op": "row_number", "as": "place"}]}],
    }  # fmt: skip


def attention_figure(stage: StageReport) -> Figure | None:
    """A row an attention; the chart is the sequence lengths over the call. None for a stage without attention."""
    if not stage.attention:
        return None
    nodes = {row.name: row for row in stage.nodes}
    rows = []
    for place, row in enumerate(stage.attention, 1):
        node = nodes.get(row.node)
        own = {column.key: getattr(row, column.key, None) for column in ATTENTION_COLUMNS}
        known = {"module": node.module, "seconds": node.seconds} if node is not None else {}
        rows.append({**own, "place": place, **known})
    return Figure(
        name=f"{stage.name}-attention",
        title=f"{stage.name}: sequence lengths in call order",
        caption="Query tokens of each attention of one call; the table has keys, heads, FLOP and scores.",
        columns=ATTENTION_COLUMNS,
        rows=tuple(rows),
        chart=_LENGTHS,
    )


_LENGTHS: dict[str, Any] = {
    "description": "Points on a log axis: query tokens of each attention, in call order, by kind.",
    "params": picks("kind"),
    "mark": {"type": "point", "filled": True, "size": 55},
    "height": 220,
    "encoding": {
        "x": quantity("place", "attention, in call order", format="d"),
        "y": quantity("q_tokens", "query tokens", log=True),
        "color": colour("kind", "kind"),
        "shape": {"field": "axis", "type": "nominal", "title": "axis"},
        "opacity": {"condition": {"param": "pick", "value": 1}, "value": 0.12},
        "tooltip": tooltip(ATTENTION_COLUMNS, "node", "module", "kind", "axis", "q_tokens", "kv_tokens", "flops"),
    },
}
