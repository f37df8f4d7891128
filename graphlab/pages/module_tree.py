"""The modules of a stage as a tree that opens and closes."""

from __future__ import annotations

from graphlab.pages.module_sums import ModuleSum, heaviest, left_out, module_sums
from graphlab.report.data import StageReport
from graphlab.report.group import Group
from graphlab.report.html import TreeRow, TreeTable
from graphlab.report.tables import left_out as unknown_note
from graphlab.report.wording import MATERIALIZED_BYTES, UNKNOWN, count_text, time_text
from graphlab.units import format_bytes, format_count, format_share

MOST_ROWS = 1500
"""Modules that the tree holds; the lighter ones of a larger stage are added up in those around them."""


def module_tree(stage: StageReport) -> TreeTable:
    """A row a module: calls, parameters, FLOP, bytes, ideal time and share, everything within it counted."""
    sums = module_sums(stage)
    whole = sums[0].cost
    shown = heaviest(sums, MOST_ROWS, lambda row: _amounts(row.cost)[_measure(whole)], lambda row: row.level)
    timed = whole.seconds is not None
    time = ["ideal time"] if timed else []
    heads = ("class", "calls", "params", "FLOP", "attention FLOP", MATERIALIZED_BYTES, *time, "share")
    note = (
        f"of one call, with everything in the module; shares of {_measure(whole)}; materialized: attention scores in "
    )
    note += f"memory; {unknown_note(timed)}" if whole.unknown else "memory"
    return TreeTable(
        f"{stage.name}: modules",
        ("module", *heads),
        tuple(TreeRow(row.level, row.name or stage.name, _cells(row, whole)) for row in shown),
        texts=("class",),
        note="; ".join(filter(None, (note, left_out(len(shown), len(sums), _measure(whole))))),
    )


def _measure(whole: Group) -> str:
    if whole.seconds:
        return "ideal time"
    return "FLOP" if whole.flops else MATERIALIZED_BYTES


def _amounts(cost: Group) -> dict[str, float]:
    """What shares may be of; of FLOP, those that are known."""
    return {"ideal time": cost.seconds or 0.0, "FLOP": cost.flops or 0, MATERIALIZED_BYTES: cost.bytes}


def _cells(row: ModuleSum, whole: Group) -> tuple[str, ...]:
    cost, measure = row.cost, _measure(whole)
    share = format_share(_amounts(cost)[measure], _amounts(whole)[measure])
    return (
        row.module_class,
        f"{cost.nodes:,}",
        format_count(row.parameters),
        count_text(cost.flops, cost.unknown),
        format_count(row.attention_flops),
        format_bytes(cost.bytes),
        *([time_text(cost)] if whole.seconds is not None else []),
        UNKNOWN if measure == "FLOP" and cost.flops is None else share,
    )
