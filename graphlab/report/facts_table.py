"""The facts of an analysis of one's own as a table, whatever their shape."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from graphlab.report.data import StageReport
from graphlab.report.stage_data import AnalysisFacts
from graphlab.report.tables import Column, Table

ROWS = 20
"""Rows that are shown; `--json` has all of them."""

COLUMNS = 12
"""Fields that become columns; facts with more of them are one column."""

CELL = 32
"""Characters of a nested value that are shown; of a longer one only how much it holds."""


def facts_tables(stage: StageReport, top: int | None = None) -> tuple[Table, ...]:
    """A table for each analysis of `stage`, of at most `top` rows (20).

    A mapping is a row a key, a sequence a row an item; fields of items that are mappings are columns. What is nested
    deeper is written as JSON in its cell where it is short, and counted where it is long.
    """
    return tuple(_table(stage.name, item, top or ROWS) for item in stage.analyses)


def _table(stage: str, item: AnalysisFacts, top: int) -> Table:
    heads, rows = _rows(item.facts)
    shown = rows[:top]
    numbers = [all(_is_number(row[index]) for row in rows) for index in range(len(heads))]
    keyed = isinstance(item.facts, Mapping)  # names of nodes are not to be folded
    columns = tuple(
        Column(head, number=number, whole=keyed and index == 0)
        for index, (head, number) in enumerate(zip(heads, numbers, strict=True))
    )
    cells = tuple(tuple(_cell(value) for value in row) for row in shown)
    more = f"; {len(shown)} of {len(rows)} rows, --json has all" if len(shown) < len(rows) else ""
    nothing = "; it found nothing" if not rows else ""
    return Table(f"{stage}: {item.name}", columns, cells, note=f"of {item.owner}{more}{nothing}")


def _rows(facts: Any) -> tuple[list[str], list[list[Any]]]:
    """(heads, rows of values) of facts that are JSON values."""
    if isinstance(facts, Mapping):
        return _of_items(["key", *_columns(list(facts.values()))], [[key, value] for key, value in facts.items()])
    if isinstance(facts, Sequence) and not isinstance(facts, str):
        return _of_items(_columns(facts), [[value] for value in facts])
    return ["value"], [[facts]]


def _columns(values: Sequence[Any]) -> list[str]:
    """The fields of `values`, in the order they first come, where all of them are mappings; else one column."""
    if values and all(isinstance(value, Mapping) for value in values):
        names = list(dict.fromkeys(name for value in values for name in value))
        return names if 0 < len(names) <= COLUMNS else ["value"]
    return ["value"]


def _of_items(heads: list[str], pairs: list[list[Any]]) -> tuple[list[str], list[list[Any]]]:
    """Rows of `pairs` ([key, value] or [value]) under `heads`, a value spread over the columns it has."""
    keyed = len(heads) - len(pairs[0]) + 1 if pairs else len(heads)
    names = heads[len(heads) - keyed :]
    spread = bool(pairs) and names != ["value"]
    rows = [[*pair[:-1], *(([pair[-1].get(name) for name in names]) if spread else [pair[-1]])] for pair in pairs]
    return heads, rows


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str):
        return value
    text = str(value) if isinstance(value, int) else json.dumps(value)
    if len(text) <= CELL or isinstance(value, int):
        return text
    return f"{len(value)} {'entries' if isinstance(value, Mapping) else 'items'}"
