"""Results of the commands as tables."""

from __future__ import annotations

from collections.abc import Sequence

from graphlab.erase.jobs.comparison import Changed
from graphlab.erase.jobs.fuse import FusedRow
from graphlab.erase.jobs.roles import RoleRow, role_of
from graphlab.report.tables import Column, Table


def role_table(rows: Sequence[RoleRow]) -> Table:
    """How much of a mask lies where: a row for every role of weights."""
    columns = (Column("role", number=False), *map(Column, ("weights", "entries", "kept", "density")))
    cells = tuple(
        (row.role, f"{row.weights:,}", f"{row.entries:,}", f"{row.kept:,}", f"{row.density:.2%}") for row in rows
    )
    return Table("Where the mask sits", columns, cells, shares=tuple(row.density for row in rows))


def change_table(rows: Sequence[Changed]) -> Table:
    """How many entries have other bits: a row for every role of weights."""
    columns = (
        Column("role", number=False),
        *map(Column, ("weights", "changed", "entries", "changed", "outside the mask")),
    )
    groups: dict[str, list[Changed]] = {}
    for row in rows:
        groups.setdefault(role_of(row.key), []).append(row)
    cells = tuple(
        (
            role,
            f"{len(group):,}",
            f"{sum(bool(row.changed) for row in group):,}",
            f"{sum(row.entries for row in group):,}",
            f"{sum(row.changed for row in group):,}",
            "-" if group[0].outside is None else f"{sum(row.outside or 0 for row in group):,}",
        )
        for role, group in groups.items()
    )
    return Table("What changed", columns, cells, note="weights that hold a changed entry, and entries; to the bit")


def fusion_table(rows: Sequence[FusedRow], names: Sequence[str]) -> Table:
    """What became of every edit, projection by projection."""
    columns = (Column("projection", number=False), Column("largest change"), *map(Column, names))
    cells = tuple(
        (row.projection, f"{row.moved:.4g}", *("-" if value is None else f"{value:.1%}" for value in row.missed))
        for row in rows
    )
    return Table("Edits", columns, cells, note="share of each edit that is missed: 0 % where it is met")
