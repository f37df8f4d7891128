"""The page of `graphlab rewrite`."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.pages.rewrite_figures import before_after_figure, changes_figure, operators_figure, skips_figure
from graphlab.report.html import Document, Listing, Section, plains
from graphlab.report.rewrite_data import RewriteReport, StageRewrite
from graphlab.report.rewrite_tables import (
    diff_lines,
    drift_lines,
    figures_table,
    masks_table,
    passes_table,
    reuse_table,
    rewrite_fields,
    split_table,
    stage_notes,
    tensors_table,
    verification_lines,
    verifications,
)


def rewrite_document(report: RewriteReport) -> Document:
    """Before and after of every stage: figures, operators, every change and refusal, the regions that changed."""
    return Document(
        title=f"Rewrite of {report.workload}",
        subtitle=tuple(f"{name}: {value}" for name, value in rewrite_fields(report)),
        sections=tuple(part for stage in report.stages for part in _stage(stage)),
        assumptions=report.assumptions,
        notes=tuple(f"{stage.name}: {note}" for stage in report.stages for note in stage_notes(stage)),
    )


def _stage(stage: StageRewrite) -> Iterator[Section]:
    name = stage.name
    split = split_table(name, stage.split) if stage.split is not None and stage.split.parts else None
    reuse = reuse_table(name, stage.reuse) if stage.reuse is not None and stage.reuse.parts else None
    yield Section(
        f"{name}: before and after",
        tuple(_approximate(stage)),
        tables=plains((figures_table(stage), split, reuse)),
        figures=(before_after_figure(stage), operators_figure(stage)),
    )
    for title, row in verifications(stage):
        yield Section(title, tuple(verification_lines(row)))
    if stage.reuse is not None and stage.reuse.drift is not None:
        yield Section(f"{name}: approximate, measured difference", tuple(drift_lines(stage)))
    tables = (
        passes_table(stage),
        masks_table(stage) if stage.masks else None,
        tensors_table(stage) if stage.new_tensors else None,
    )
    yield Section(f"{name}: changes", tables=plains(tables), figures=(changes_figure(stage),))
    yield Section(f"{name}: what stayed, and why", figures=(skips_figure(stage),))
    if stage.diff is not None:
        yield _diff(stage)


def _approximate(stage: StageRewrite) -> Iterator[str]:
    """A line on each pass that changed something and whose results are not the model's."""
    for row in stage.passes:
        if row.exact or not row.changes:
            continue
        if stage.reuse is not None and row is stage.passes[-1]:  # a stage rewrite is the last to run
            yield f"Approximate: {row.name} takes features of an earlier step; where none is old, values are kept."
        else:
            yield f"Approximate: {row.name} means to change values; what was compared starts after it."


def _diff(stage: StageRewrite) -> Section:
    regions = stage.diff or ()
    lines = tuple(
        Listing(f"{place}. {region.module or '(top level)'}", tuple(diff_lines(region)), diff=True)
        for place, region in enumerate(regions, 1)
    )
    said = "Calls that are gone start with -, new ones with +; regions that changed alike are shown once."
    return Section(f"{stage.name}: what changed", (said if lines else "Nothing changed.",), listings=lines)
