"""Measured times of the modules of a stage as a tree that opens and closes."""

from __future__ import annotations

from graphlab.pages.module_sums import depth_first, heaviest, homes, left_out
from graphlab.pages.module_tree import MOST_ROWS
from graphlab.report.html import TreeRow, TreeTable
from graphlab.report.profile_data import StageProfile, TimeGroup
from graphlab.units import format_seconds, format_share


def time_tree(stage: StageProfile) -> TreeTable:
    """A row a module with everything in it: nodes, seconds of a call and of a generation, and its share."""
    sums: dict[str, TimeGroup] = {}
    for path, group in stage.by("module").items():
        for home in homes(path):
            sums[home] = sums.get(home, TimeGroup()) + group
    rows = depth_first(list(sums))
    shown = heaviest(rows, MOST_ROWS, lambda row: sums[row[0]].seconds, lambda row: row[1])
    note = "sums of the medians of the nodes; shares of the time on nodes"
    whole = sums.get("", TimeGroup()).seconds
    return TreeTable(
        f"{stage.name}: measured time by module",
        ("module", "nodes", "a call", "total", "share"),
        tuple(
            TreeRow(place, path.rpartition(".")[2] or stage.name, _cells(sums[path], stage, whole))
            for path, place in shown
        ),
        note="; ".join(filter(None, (note, left_out(len(shown), len(rows), "time")))),
    )


def _cells(group: TimeGroup, stage: StageProfile, whole: float) -> tuple[str, ...]:
    a_call = group.seconds / stage.calls_total if stage.calls_total else 0.0
    return (
        f"{group.nodes:,}",
        format_seconds(a_call),
        format_seconds(group.seconds),
        format_share(group.seconds, whole),
    )
