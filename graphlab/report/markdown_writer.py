"""The report as Markdown: the tables of `tables.py`, then assumptions and notes."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.report.data import AnalysisReport
from graphlab.report.facts_table import facts_tables
from graphlab.report.markdown import escape, markdown_fields, markdown_list, markdown_table
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
from graphlab.report.wording import expression_text


def to_markdown(report: AnalysisReport) -> str:
    """The report as GitHub-flavoured Markdown, ending in one newline. The same report gives the same bytes."""
    blocks = [f"# {escape(report.workload)}", _intro(report)]
    blocks += [markdown_table(table) for table in _tables(report)]
    for stage in report.stages:
        if stage.scaling:
            blocks.append(f"## {escape(stage.name)}: FLOPs of one call\n\n{escape(expression_text(stage))}")
    blocks += list(_lists(report))
    return "\n\n".join(blocks) + "\n"


def _tables(report: AnalysisReport) -> Iterator[Table]:
    yield stages_table(report)
    for stage in report.stages:
        yield groups_table(stage, "category")
        yield groups_table(stage, "role")
        optional = (attention_table(stage), scaling_table(stage))
        yield from (table for table in optional if table is not None)
    for stage in report.stages:
        yield from facts_tables(stage)
    last = (estimate_table(report), memory_table(report), unknown_table(report), inputs_table(report))
    yield from (table for table in last if table is not None)


def _intro(report: AnalysisReport) -> str:
    device = [("Device", report.device)] if report.device is not None else []
    return markdown_fields([("Source", report.source), *device, *binding_rows(report)])


def _lists(report: AnalysisReport) -> Iterator[str]:
    yield from markdown_list("Assumptions", report.assumptions)
    yield from markdown_list("Notes", (f"{stage.name}: {text}" for stage in report.stages for text in stage.notes))
