"""A `BenchReport` as JSON and Markdown text."""

from __future__ import annotations

from graphlab.report.bench_data import BenchReport
from graphlab.report.bench_tables import bench_fields, bench_tables, failures, stage_lines
from graphlab.report.json_writer import to_json
from graphlab.report.markdown import escape, markdown_fields, markdown_list, markdown_table


def bench_json(report: BenchReport) -> str:
    """`report.to_dict()` as indented ASCII JSON in the order of the keys, ending in a newline."""
    return to_json(report)


def bench_markdown(report: BenchReport) -> str:
    """The report as GitHub-flavoured Markdown, ending in one newline."""
    fields = markdown_fields(bench_fields(report))
    blocks = [f"# {escape(report.workload)}", fields, *map(markdown_table, bench_tables(report))]
    for stage in report.stages:
        blocks += markdown_list(f"{stage.name}: not timed", failures(stage))
        blocks += markdown_list(f"{stage.name}: notes", stage_lines(stage))
    blocks += markdown_list("Assumptions", report.assumptions)
    blocks += markdown_list("Notes", report.notes)
    return "\n\n".join(blocks) + "\n"
