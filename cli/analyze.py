"""`graphlab analyze`: what a model is and costs, as tables and files."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphlab.cli.destinations import Writers, destinations
from graphlab.cli.options import (
    DEPTH,
    PASS_SPEC,
    TOP,
    Bindings,
    Config,
    Device,
    Html,
    Inputs,
    NoCache,
    Source,
    Stage,
    Static,
    Strict,
    TrustPickle,
    check_depth,
    check_passes,
    load_workload,
)

if TYPE_CHECKING:
    from graphlab.report.data import AnalysisReport


class By(StrEnum):
    """What costs are added up by; the values of graphlab.report.tables.GROUPINGS."""

    category = "category"
    role = "role"
    module = "module"
    op = "op"
    attention = "attention"


def analyze(
    source: Source,
    device: Device = None,
    stage: Stage = None,
    bindings: Bindings = None,
    inputs: Inputs = None,
    by: Annotated[By, typer.Option("--by", help="What to add costs up by.")] = By.category,
    depth: Annotated[
        int | None, typer.Option("--depth", min=1, metavar="N", help="Names of a module path with --by module: 2.")
    ] = None,
    top: Annotated[int | None, typer.Option("--top", min=1, metavar="N", help="Rows of that table.")] = None,
    passes: Annotated[
        list[str] | None,
        typer.Option("--pass", metavar=PASS_SPEC, help="An analysis whose facts go into the report; repeat."),
    ] = None,
    strict: Strict = False,
    static: Static = False,
    config: Config = None,
    trust_pickle: TrustPickle = False,
    no_cache: NoCache = False,
    json: Annotated[str | None, typer.Option("--json", metavar="PATH", help="Report as JSON; - is stdout.")] = None,
    csv: Annotated[str | None, typer.Option("--csv", metavar="PATH", help="A row a call; - is stdout.")] = None,
    markdown: Annotated[str | None, typer.Option("--markdown", metavar="PATH", help="Tables; - is stdout.")] = None,
    html: Html = None,
) -> None:
    """Where the time and memory of a model go."""
    check_depth(depth, by)
    check_passes(passes or ())
    with destinations(
        {"--json": json, "--csv": csv, "--markdown": markdown, "--html": html}, reads=(source, config)
    ) as out:
        report = run(
            source, device, stage, bindings, inputs, strict, static, config, trust_pickle, no_cache, passes=passes or ()
        )
        out.write_each(report, _writers())
        out.show(lambda stream: show(report, by.value, depth or DEPTH, top or TOP.get(by.value), stream))


def run(
    source: str,
    device: str | None,
    stage: str | None,
    bindings: list[str] | None,
    inputs: list[str] | None,
    strict: bool,
    static: bool,
    config: Path | None,
    trust_pickle: bool,
    no_cache: bool,
    *,
    one: bool = False,
    passes: Sequence[str] = (),
) -> AnalysisReport:
    """The report of `source`, with a bar on a terminal while it is captured; `one` insists on a single stage.

    `passes` are analyses to run besides.
    """
    from graphlab.cli.render import progress
    from graphlab.hardware import load_device

    hardware = load_device(device) if device is not None else None
    asked = _analyses(passes)
    workload = load_workload(source, bindings, inputs, config, trust_pickle=trust_pickle, static=static)
    from graphlab.api import analyze as analyze_workload
    from graphlab.api import one_stage

    stage = one_stage(workload, stage) if one else stage
    count = 1 if stage is not None else len(workload.active)

    with progress(count) as report_stage:
        return analyze_workload(
            workload,
            hardware,
            stage=stage,
            dynamic=not static,
            strict=strict,
            cache=not no_cache,
            progress=report_stage,
            passes=asked,
        )


def _analyses(specs: Sequence[str]) -> Sequence[Any]:
    """The analyses of `specs`: what is misspelled, or does not import, is said before the model is captured."""
    if not specs:
        return ()
    from graphlab.api import analyses_of

    return analyses_of(specs)


def show(report: AnalysisReport, by: str, depth: int, top: int | None, stream: Any) -> None:
    """The whole report on `stream`, for a human."""
    from graphlab.cli.render import console, print_fields, print_lines, print_table
    from graphlab.report.facts_table import facts_tables
    from graphlab.report.tables import binding_rows, report_tables
    from graphlab.report.wording import expression_text

    out = console(stream)
    head = [("workload", report.workload), ("source", report.source)]
    if report.device is not None:
        head.append(("device", report.device))
    print_fields(out, [*head, *binding_rows(report)])
    for table in report_tables(report, by, depth=depth, top=top):
        print_table(out, table)
    for stage in report.stages:
        for table in facts_tables(stage, top):
            print_table(out, table)
    print_lines(out, "FLOPs of one call", [f"{s.name}: {expression_text(s)}" for s in report.stages if s.scaling])
    print_lines(out, "Assumptions", report.assumptions)
    print_lines(out, "Notes", [f"{stage.name}: {note}" for stage in report.stages for note in stage.notes])


def _writers() -> Writers:
    from graphlab.pages.analysis import analysis_document
    from graphlab.report.csv_writer import to_csv
    from graphlab.report.html import to_html
    from graphlab.report.json_writer import to_json
    from graphlab.report.markdown_writer import to_markdown

    def page(item: AnalysisReport) -> str:
        return to_html(analysis_document(item))

    return {"--json": to_json, "--csv": to_csv, "--markdown": to_markdown, "--html": page}
