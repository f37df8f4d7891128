"""A `RewriteReport` as JSON and Markdown text."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.report.json_writer import to_json
from graphlab.report.markdown import escape, markdown_fields, markdown_list, markdown_table
from graphlab.report.rewrite_data import RewriteReport, StageRewrite
from graphlab.report.rewrite_tables import (
    diff_lines,
    drift_lines,
    rewrite_fields,
    rewrite_tables,
    stage_notes,
    verification_lines,
    verifications,
)


def rewrite_json(report: RewriteReport) -> str:
    """`report.to_dict()` as indented ASCII JSON in the order of the keys, ending in a newline.

    NaN and infinity are no JSON and raise ValueError.
    """
    return to_json(report)


def rewrite_markdown(report: RewriteReport) -> str:
    """The report as GitHub-flavoured Markdown, ending in one newline."""
    fields = markdown_fields(rewrite_fields(report))
    blocks = [f"# {escape(report.workload)}", fields, *map(markdown_table, rewrite_tables(report))]
    for stage in report.stages:
        blocks += _stage(stage)
    blocks += markdown_list("Assumptions", report.assumptions)
    return "\n\n".join(blocks) + "\n"


def _stage(stage: StageRewrite) -> Iterator[str]:
    for title, row in verifications(stage):
        yield from markdown_list(title, verification_lines(row))
    yield from markdown_list(f"{stage.name}: approximate, measured difference", drift_lines(stage))
    if stage.diff is not None:
        lines = [line for group in stage.diff for line in diff_lines(group)]
        yield "\n".join([f"## {escape(stage.name)}: what changed", "", *(f"    {line}" for line in lines)])
    yield from markdown_list(f"{stage.name}: notes", stage_notes(stage))
