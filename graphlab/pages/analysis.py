"""The page of `graphlab analyze`."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.pages.calls_figure import calls_figure
from graphlab.pages.growth_figure import growth_figure
from graphlab.pages.memory_figure import memory_figure, peak_table
from graphlab.pages.module_figure import module_figure
from graphlab.pages.module_tree import module_tree
from graphlab.pages.roofline_figure import roofline_figure
from graphlab.pages.share_figures import attention_figure, categories_figure, stages_figure
from graphlab.report.data import AnalysisReport, StageReport
from graphlab.report.facts_table import facts_tables
from graphlab.report.html import Document, Listing, Section, plains
from graphlab.report.tables import (
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


def analysis_document(report: AnalysisReport) -> Document:
    """The overview of a generation, then each stage: modules, operators, attention, memory, roofline, growth, calls."""
    head = [("source", report.source), *([("device", report.device)] if report.device is not None else [])]
    fields = [*head, *binding_rows(report)]
    return Document(
        title=f"Analysis of {report.workload}",
        subtitle=tuple(f"{name}: {value}" for name, value in fields),
        sections=(_overview(report), *(part for stage in report.stages for part in _stage(stage))),
        assumptions=report.assumptions,
        notes=tuple(f"{stage.name}: {note}" for stage in report.stages for note in stage.notes),
    )


def _overview(report: AnalysisReport) -> Section:
    tables = (stages_table(report), estimate_table(report), memory_table(report), unknown_table(report))
    return Section("Overview", tables=plains((*tables, inputs_table(report))), figures=(stages_figure(report),))


def _stage(stage: StageReport) -> Iterator[Section]:
    name = stage.name
    yield Section(f"{name}: modules", trees=(module_tree(stage),), figures=(module_figure(stage),))
    by = (groups_table(stage, "category"), groups_table(stage, "role"), groups_table(stage, "op", top=20))
    yield Section(f"{name}: operators", tables=plains(by), figures=(categories_figure(stage),))
    attention = attention_figure(stage)
    if attention is not None:
        yield Section(f"{name}: attention", tables=plains((attention_table(stage),)), figures=(attention,))
    yield Section(f"{name}: memory", tables=plains((peak_table(stage),)), figures=(memory_figure(stage),))
    roofline = roofline_figure(stage)
    if roofline is not None:
        yield Section(f"{name}: roofline", figures=(roofline,))
    yield _growth(stage)
    if stage.analyses:
        yield Section(f"{name}: analyses", tables=plains(facts_tables(stage)))
    yield Section(f"{name}: calls", figures=(calls_figure(stage),))


def _growth(stage: StageReport) -> Section:
    lines = [f"FLOP = {expression_text(stage)}"]
    lines += [f"{attention} bytes = {text}" for attention, text in stage.bytes_expression.items()]
    listing = Listing(f"{stage.name}: one call as an expression", tuple(lines), note="in the sizes that are symbols")
    figure = growth_figure(stage)
    return Section(
        f"{stage.name}: growth",
        () if stage.symbols else ("Every size is fixed in this capture; one with symbols says how costs grow.",),
        tables=plains((scaling_table(stage),)),
        listings=(listing,),
        figures=(figure,) if figure is not None else (),
    )
