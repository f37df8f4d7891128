"""A `ProfileReport` as JSON, CSV and Markdown text."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable

from graphlab.report.markdown_writer import escape
from graphlab.report.profile_data import ProfileReport
from graphlab.report.profile_tables import calls_table, profile_fields, profile_notes, times_table
from graphlab.report.tables import Table

COLUMNS = (
    "stage", "step", "node", "op", "category", "role", "module", "attention", "seconds", "low", "high",
)  # fmt: skip


def profile_json(report: ProfileReport) -> str:
    """`report.to_dict()` as indented ASCII JSON in the order of the keys, ending in a newline."""
    return json.dumps(report.to_dict(), indent=2, ensure_ascii=True, allow_nan=False) + "\n"


def profile_csv(report: ProfileReport) -> str:
    """One row a node of each call that was run, in call order; `attention` is empty outside of one."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for stage in report.stages:
        for call in stage.calls:
            for node in call.nodes:
                cells = [getattr(node, name) for name in COLUMNS[3:]]
                writer.writerow((stage.name, call.step, node.name, *cells))
    return out.getvalue()


def profile_markdown(report: ProfileReport) -> str:
    """The report as GitHub-flavoured Markdown, ending in one newline."""
    fields = "\n".join(f"- {escape(name)}: {escape(value)}" for name, value in profile_fields(report))
    tables = [calls_table(report)]
    tables += [times_table(stage, by) for stage in report.stages for by in ("category", "role")]
    blocks = [f"# {escape(report.workload)}", fields, *map(_table, tables)]
    lists = {"Assumptions": report.assumptions, "Notes": profile_notes(report)}
    blocks += [_section(title, lines) for title, lines in lists.items() if lines]
    return "\n\n".join(blocks) + "\n"


def _section(title: str, lines: Iterable[str]) -> str:
    return f"## {title}\n\n" + "\n".join(f"- {escape(line)}" for line in lines)


def _table(table: Table) -> str:
    rule = ["---:" if column.number else ":---" for column in table.columns]
    rows = [[escape(column.head) for column in table.columns], rule]
    rows += [[escape(cell) for cell in row] for row in table.rows]
    lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"## {escape(table.title)}\n\n{lines}\n\n{escape(table.note)}"
