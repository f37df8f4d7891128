"""The page of `graphlab profile`."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.pages.profile_figures import category_times_figure, node_times_figure
from graphlab.pages.time_tree import time_tree
from graphlab.report.html import Document, Section, plain, plains
from graphlab.report.profile_data import ProfileReport, StageProfile
from graphlab.report.profile_tables import (
    attention_times_table,
    calls_table,
    profile_fields,
    profile_notes,
    times_table,
)
from graphlab.units import format_share


def profile_document(report: ProfileReport) -> Document:
    """What was measured and how much of it falls on nodes; then each stage by category, module, attention and node."""
    fields = list(profile_fields(report))
    if report.predicted_for is not None:
        fields.append(("predicted for", report.predicted_for))
    covered = f"At least {format_share(report.coverage, 1)} of the wall time falls on nodes of the graph."
    return Document(
        title=f"Profile of {report.workload}",
        subtitle=tuple(f"{name}: {value}" for name, value in fields),
        sections=(
            Section("Measured", (covered,), tables=(plain(calls_table(report)),)),
            *(part for stage in report.stages for part in _stage(report, stage)),
        ),
        assumptions=report.assumptions,
        notes=tuple(profile_notes(report)),
    )


def _stage(report: ProfileReport, stage: StageProfile) -> Iterator[Section]:
    by = (times_table(stage, "category"), times_table(stage, "role"), times_table(stage, "op", top=20))
    yield Section(
        f"{stage.name}: operators", tables=plains(by), figures=(category_times_figure(stage, report.predicted_for),)
    )
    yield Section(f"{stage.name}: modules", trees=(time_tree(stage),))
    attention = attention_times_table(stage)
    if attention is not None:
        yield Section(f"{stage.name}: attention", tables=(plain(attention),))
    yield Section(f"{stage.name}: nodes", figures=(node_times_figure(stage, report.predicted_for),))
