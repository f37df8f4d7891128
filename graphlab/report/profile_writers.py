"""A `ProfileReport` as JSON, CSV and Markdown text."""

from __future__ import annotations

import csv
import io

from graphlab.report.json_writer import to_json
from graphlab.report.markdown import escape, markdown_fields, markdown_list, markdown_table
from graphlab.report.profile_data import ProfileReport
from graphlab.report.profile_tables import calls_table, profile_fields, profile_notes, times_table

COLUMNS = (
    "stage", "step", "node", "op", "category", "role", "module", "attention", "seconds", "low", "high",
)  # fmt: skip


def profile_json(report: ProfileReport) -> str:
    """`report.to_dict()` as indented ASCII JSON in the order of the keys, ending in a newline."""
    return to_json(report)


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
    fields = markdown_fields(profile_fields(report))
    tables = [calls_table(report)]
    tables += [times_table(stage, by) for stage in report.stages for by in ("category", "role")]
    blocks = [f"# {escape(report.workload)}", fields, *map(markdown_table, tables)]
    blocks += markdown_list("Assumptions", report.assumptions)
    blocks += markdown_list("Notes", profile_notes(report))
    return "\n\n".join(blocks) + "\n"
