"""The report as Markdown: the tables of `tables.py`, then assumptions and notes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from graphlab.report.data import AnalysisReport
from graphlab.report.tables import (
    Table,
    attention_table,
    binding_rows,
    estimate_table,
    groups_table,
    inputs_table,
    memory_table,
    scaling_table,
    stages_table,
    unknown_table,
)

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|!~&$])")


def to_markdown(report: AnalysisReport) -> str:
    """The report as GitHub-flavoured Markdown, ending in one newline. The same report gives the same bytes."""
    blocks = [f"# {escape(report.workload)}", _intro(report)]
    blocks += [_table(table) for table in _tables(report)]
    for stage in report.stages:
        if stage.scaling:
            blocks.append(f"## {escape(stage.name)}: FLOPs of one call\n\n{escape(stage.flops_expression)}")
    blocks += list(_lists(report))
    return "\n\n".join(blocks) + "\n"


def _tables(report: AnalysisReport) -> Iterator[Table]:
    yield stages_table(report)
    for stage in report.stages:
        yield groups_table(stage, "category")
        yield groups_table(stage, "role")
        optional = (attention_table(stage), scaling_table(stage))
        yield from (table for table in optional if table is not None)
    last = (estimate_table(report), memory_table(report), unknown_table(report), inputs_table(report))
    yield from (table for table in last if table is not None)


def _intro(report: AnalysisReport) -> str:
    lines = [f"Source: {escape(report.source)}"]
    if report.device is not None:
        lines.append(f"Device: {escape(report.device)}")
    lines += [f"{escape(name)}: {escape(value)}" for name, value in binding_rows(report)]
    return "\n".join(f"- {line}" for line in lines)


def _table(table: Table) -> str:
    heads = [column.head for column in table.columns]
    rule = ["---:" if column.number else ":---" for column in table.columns]
    lines = [_line(map(escape, heads)), _line(rule), *(_line(map(escape, row)) for row in table.rows)]
    note = f"\n\n{escape(table.note)}" if table.note else ""
    return f"## {escape(table.title)}\n\n" + "\n".join(lines) + note


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _lists(report: AnalysisReport) -> Iterator[str]:
    if report.assumptions:
        yield "## Assumptions\n\n" + "\n".join(f"- {escape(text)}" for text in report.assumptions)
    notes = [f"- {escape(stage.name)}: {escape(text)}" for stage in report.stages for text in stage.notes]
    if notes:
        yield "## Notes\n\n" + "\n".join(notes)


def escape(text: str) -> str:
    """`text` on one line with everything Markdown or HTML would read as markup made literal."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
