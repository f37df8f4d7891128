"""Measured times of the modules of a stage as a tree that opens and closes."""

from __future__ import annotations

from graphlab.pages.module_sums import depth_first, homes
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
    level = max((level for _, level in rows), default=0)
    while level > 1 and sum(place <= level for _, place in rows) > MOST_ROWS:
        level -= 1
    shown = [(path, place) for path, place in rows if place <= level]
    note = "sums of the medians of the nodes; shares of the time on nodes"
    if len(shown) < len(rows):
        note += (
            f"; too large to draw whole: {len(shown):,} of {len(rows):,} modules, what is deeper is added up in them"
        )
    whole = sums.get("", TimeGroup()).seconds
    return TreeTable(
        f"{stage.name}: measured time by module",
        ("module", "nodes", "a call", "total", "share"),
        tuple(
            TreeRow(place, path.rpartition(".")[2] or stage.name, _cells(sums[path], stage, whole))
            for path, place in shown
        ),
        note=note,
    )


def _cells(group: TimeGroup, stage: StageProfile, whole: float) -> tuple[str, ...]:
    a_call = group.seconds / stage.calls_total if stage.calls_total else 0.0
    return (
        f"{group.nodes:,}",
        format_seconds(a_call),
        format_seconds(group.seconds),
        format_share(group.seconds, whole),
    )
