"""The modules of a stage as a tree that opens and closes."""

from __future__ import annotations

from graphlab.pages.module_sums import ModuleSum, heaviest, left_out, module_sums
from graphlab.report.data import Group, StageReport
from graphlab.report.html import TreeRow, TreeTable
from graphlab.units import format_bytes, format_count, format_seconds, format_share

MOST_ROWS = 1500
"""Modules that the tree holds; the lighter ones of a larger stage are added up in those around them."""


def module_tree(stage: StageReport) -> TreeTable:
    """A row a module: calls, parameters, FLOP, bytes, ideal time and share, everything within it counted."""
    sums = module_sums(stage)
    whole = sums[0].cost
    shown = heaviest(sums, MOST_ROWS, lambda row: _amounts(row.cost)[_measure(whole)], lambda row: row.level)
    timed = whole.seconds is not None
    heads = ("class", "calls", "params", "FLOP", "attention FLOP", "bytes", *(["ideal time"] if timed else []), "share")
    note = f"of one call, with everything in the module; shares of {_measure(whole)}; bytes: scores in memory"
    unknown = "; +: calls without a rule, whose FLOP are unknown" if whole.unknown else ""
    return TreeTable(
        f"{stage.name}: modules",
        ("module", *heads),
        tuple(TreeRow(row.level, row.name or stage.name, _cells(row, whole)) for row in shown),
        texts=("class",),
        note="; ".join(filter(None, (note + unknown, left_out(len(shown), len(sums), _measure(whole))))),
    )


def _measure(whole: Group) -> str:
    if whole.seconds:
        return "ideal time"
    return "FLOP" if whole.flops else "bytes"


def _amounts(cost: Group) -> dict[str, float]:
    """What shares may be of."""
    return {"ideal time": cost.seconds or 0.0, "FLOP": cost.flops, "bytes": cost.bytes}


def _cells(row: ModuleSum, whole: Group) -> tuple[str, ...]:
    cost = row.cost
    flops = "unknown" if cost.nodes and cost.nodes == cost.unknown else format_count(cost.flops)
    time = [format_seconds(cost.seconds or 0.0)] if whole.seconds is not None else []
    share = (_amounts(cost)[_measure(whole)], _amounts(whole)[_measure(whole)])
    return (
        row.module_class,
        f"{cost.nodes:,}",
        format_count(row.parameters),
        flops + "+" * (0 < cost.unknown < cost.nodes),
        format_count(row.attention_flops),
        format_bytes(cost.bytes),
        *time,
        format_share(*share),
    )
