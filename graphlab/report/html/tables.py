"""The tables of the terminal and of Markdown as those of a page."""

from __future__ import annotations

from collections.abc import Iterable

from graphlab.report.html.document import PlainTable
from graphlab.report.tables import Table


def plain(table: Table) -> PlainTable:
    """`table` as a page shows it: bars are left out."""
    return PlainTable(table.title, tuple(column.head for column in table.columns), table.rows, table.note)


def plains(tables: Iterable[Table | None]) -> tuple[PlainTable, ...]:
    """Those of `tables` that there are."""
    return tuple(plain(table) for table in tables if table is not None)
