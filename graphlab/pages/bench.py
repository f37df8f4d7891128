"""The page of `graphlab bench`."""

from __future__ import annotations

from graphlab.pages.ratio_figure import ratio_figure
from graphlab.report.bench_data import BenchReport
from graphlab.report.bench_tables import bench_fields, costs_table, failures, stage_lines, times_table, totals_table
from graphlab.report.html import Document, Section, plain, plains
from graphlab.timing.figure import bench_figure


def bench_document(report: BenchReport) -> Document:
    """Ratios with their intervals, times, then each stage's tables, and what was not timed with its reason."""
    stages = [
        Section(
            stage.name,
            tuple(f"Not timed: {line}" for line in failures(stage)),
            tables=plains((times_table(stage), costs_table(stage))),
        )
        for stage in report.stages
    ]
    whole = [Section("Whole generation", tables=(plain(totals_table(report)),))] if report.totals else []
    return Document(
        title=f"Bench of {report.workload}",
        subtitle=tuple(f"{name}: {value}" for name, value in bench_fields(report)),
        sections=(Section("Times", figures=(ratio_figure(report), bench_figure(report))), *whole, *stages),
        assumptions=report.assumptions,
        notes=(*(f"{stage.name}: {line}" for stage in report.stages for line in stage_lines(stage)), *report.notes),
    )
