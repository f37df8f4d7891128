"""Results of the commands as tables."""

from __future__ import annotations

from collections.abc import Sequence

from graphlab.erase.jobs.comparison import Changed, ChangedRole, changed_roles
from graphlab.erase.jobs.demo import Demo
from graphlab.erase.jobs.demo_report import DemoReport
from graphlab.erase.jobs.fuse import FusedRow
from graphlab.erase.jobs.roles import RoleRow
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
    return changed_role_table(changed_roles(rows))


def changed_role_table(rows: Sequence[ChangedRole]) -> Table:
    """How many entries have other bits, of weights whose roles are known."""
    columns = (
        Column("role", number=False),
        *map(Column, ("weights", "changed", "entries", "changed", "outside the mask")),
    )
    cells = tuple(
        (
            row.role,
            f"{row.weights:,}",
            f"{row.changed_weights:,}",
            f"{row.entries:,}",
            f"{row.changed:,}",
            "-" if row.outside is None else f"{row.outside:,}",
        )
        for row in rows
    )
    return Table("What changed", columns, cells, note="weights that hold a changed entry, and entries; to the bit")


def fusion_table(rows: Sequence[FusedRow], names: Sequence[str]) -> Table:
    """What became of every edit, projection by projection."""
    columns = (Column("projection", number=False, whole=True), Column("largest change"), *map(Column, names))
    cells = tuple(
        (row.projection, f"{row.moved:.4g}", *("-" if value is None else f"{value:.1%}" for value in row.missed))
        for row in rows
    )
    return Table("Edits", columns, cells, note="share of each edit that is missed: 0 % where it is met")


def demo_table(made: Demo | DemoReport) -> Table:
    """What each judge sees before and after."""
    columns = (Column("judge", number=False), Column("what", number=False), *map(Column, ("images", "before", "after")))
    cells = []
    for before, after in zip(made.before, made.after, strict=True):
        (worst_before, _), (worst_after, _) = before.worst, after.worst
        pairs = [
            (f"Acc_e: shows {made.concept}", before.erased["trained"], after.erased["trained"]),
            ("shows anything", before.valid["trained"], after.valid["trained"]),
            ("Acc_p: the others, as asked for", before.acc_p, after.acc_p),
            (f"the worst of them: {worst_before}, {worst_after}", before.worst[1], after.worst[1]),
        ]
        cells += [
            (before.judge, what, str(new.count), f"{old.value:.1%}", f"{new.value:.1%}") for what, old, new in pairs
        ]
    note = "the picture: the concept before and after, others before and after, each column from one noise"
    return Table(f"{made.concept} erased", columns, tuple(cells), note=note)
