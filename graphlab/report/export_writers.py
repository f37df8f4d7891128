"""An `ExportReport` as JSON and Markdown text."""

from __future__ import annotations

from graphlab.report.export_data import ExportReport
from graphlab.report.export_tables import export_fields, export_tables, model_notes
from graphlab.report.json_writer import to_json
from graphlab.report.markdown import escape, markdown_fields, markdown_list, markdown_table


def export_json(report: ExportReport) -> str:
    """`report.to_dict()` as indented ASCII JSON in the order of the keys, ending in a newline."""
    return to_json(report)


def export_markdown(report: ExportReport) -> str:
    """The report as GitHub-flavoured Markdown, ending in one newline."""
    fields = markdown_fields(export_fields(report))
    blocks = [f"# {escape(report.workload)}", fields, *map(markdown_table, export_tables(report))]
    for model in report.models:
        blocks += markdown_list(f"{model.stage}: notes", model_notes(model))
    blocks += markdown_list("Other files", report.files)
    blocks += markdown_list("Assumptions", report.assumptions)
    return "\n\n".join(blocks) + "\n"
