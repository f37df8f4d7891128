"""The modules of a stage as a tree that opens and closes."""

from __future__ import annotations

from graphlab.pages.module_sums import ModuleSum, cut, module_sums
from graphlab.report.data import Group, StageReport
from graphlab.report.html import TreeRow, TreeTable
from graphlab.units import format_bytes, format_count, format_seconds, format_share

MOST_ROWS = 1500
"""Modules that the tree holds; deeper levels of a larger stage are added up."""


def module_tree(stage: StageReport) -> TreeTable:
    """A row a module: calls, parameters, FLOP, bytes, ideal time and share, everything within it counted."""
    sums = module_sums(stage)
    shown = cut(sums, MOST_ROWS)
    whole = sums[0].cost
    timed = whole.seconds is not None
    heads = ("class", "calls", "params", "FLOP", "attention FLOP", "bytes", *(["ideal time"] if timed else []), "share")
    note = f"of one call, with everything in the module; shares of {_measure(whole)}; bytes: scores in memory"
    unknown = "; +: calls without a rule, whose FLOP are unknown" if whole.unknown else ""
    return TreeTable(
        f"{stage.name}: modules",
        ("module", *heads),
        tuple(TreeRow(row.level, row.name or stage.name, _cells(row, whole)) for row in shown.rows),
        texts=("class",),
        note="; ".join(filter(None, (note + unknown, shown.note))),
    )


def _measure(whole: Group) -> str:
    if whole.seconds:
        return "the ideal time"
    return "FLOP" if whole.flops else "bytes"


def _cells(row: ModuleSum, whole: Group) -> tuple[str, ...]:
    cost = row.cost
    flops = "unknown" if cost.nodes and cost.nodes == cost.unknown else format_count(cost.flops)
    time = [format_seconds(cost.seconds or 0.0)] if whole.seconds is not None else []
    share = {
        "the ideal time": (cost.seconds or 0.0, whole.seconds or 0.0),
        "FLOP": (cost.flops, whole.flops),
        "bytes": (cost.bytes, whole.bytes),
    }[_measure(whole)]
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
