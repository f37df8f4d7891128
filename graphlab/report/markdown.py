"""Pieces of a report in GitHub-flavoured Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from graphlab.report.tables import Table

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|!~&$])")


def escape(text: str) -> str:
    """`text` on one line with everything Markdown or HTML would read as markup made literal."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def markdown_fields(fields: Iterable[tuple[str, str]]) -> str:
    """A line for each name and value."""
    return "\n".join(f"- {escape(name)}: {escape(value)}" for name, value in fields)


def markdown_list(title: str, lines: Iterable[str]) -> Iterator[str]:
    """A heading and `lines` under it; nothing without lines."""
    rows = [f"- {escape(line)}" for line in lines]
    if rows:
        yield f"## {escape(title)}\n\n" + "\n".join(rows)


def markdown_table(table: Table) -> str:
    """A heading, the table and its note."""
    rule = ["---:" if column.number else ":---" for column in table.columns]
    rows = [[escape(column.head) for column in table.columns], rule]
    rows += [[escape(cell) for cell in row] for row in table.rows]
    lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    note = f"\n\n{escape(table.note)}" if table.note else ""
    return f"## {escape(table.title)}\n\n{lines}{note}"
