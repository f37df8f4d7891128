"""`graphlab export`: an ONNX model whose attention is fused, compared with PyTorch before it is handed over."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphlab.cli.destinations import Writers, destinations
from graphlab.cli.options import (
    Bindings,
    Config,
    Html,
    Inputs,
    Passes,
    RewriteLevel,
    Source,
    Stage,
    Static,
    TrustPickle,
    Weights,
    check_passes,
    load_workload,
    parse_level,
)  # fmt: skip
from graphlab.cli.output import STDOUT, check_folder

if TYPE_CHECKING:
    from graphlab.report.export_data import ExportReport


def export(
    source: Source,
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="OUT", help="A file model.onnx, or a folder: all stages.")
    ],
    target: Annotated[
        str, typer.Option("--target", metavar="T", help="standard, ort-cpu or ort-cuda: whose operators to use.")
    ] = "standard",
    rewrite: RewriteLevel = "-O2",
    passes: Passes = None,
    dtype: Annotated[
        str | None, typer.Option("--dtype", metavar="D", help="float32, float16 or bfloat16; the model's own without.")
    ] = None,
    weights: Weights = None,
    opset: Annotated[int | None, typer.Option("--opset", metavar="N", help="Version of the ONNX operators.")] = None,
    stage: Stage = None,
    bindings: Bindings = None,
    inputs: Inputs = None,
    static: Static = False,
    check: Annotated[bool, typer.Option("--check/--no-check", help="Compare with PyTorch in ONNX Runtime.")] = True,
    tolerance: Annotated[
        float | None, typer.Option("--tolerance", min=0.0, metavar="E", help="Largest error that is accepted.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Keep a model that differs from PyTorch.")] = False,
    config: Config = None,
    trust_pickle: TrustPickle = False,
    json: Annotated[str | None, typer.Option("--json", metavar="PATH", help="Report as JSON; - is stdout.")] = None,
    markdown: Annotated[str | None, typer.Option("--markdown", metavar="PATH", help="Tables; - is stdout.")] = None,
    html: Html = None,
) -> None:
    """Writes a model as ONNX: fused for its target, compared with PyTorch, with where it comes from in its metadata."""
    level = parse_level(rewrite, most=3)
    check_passes(passes or ())
    with destinations(
        {"--json": json, "--markdown": markdown, "--html": html}, _file(output), reads=(source, config)
    ) as out:
        check_folder(_folder(output), "-o", out.paths)
        from graphlab.cli.render import progress
        from graphlab.exporter import ExportPlan, export_models
        from graphlab.exporting.options import ExportOptions
        from graphlab.exporting.targets import target_named
        from graphlab.rewriter import chosen_passes

        options = ExportOptions(target_named(target).at(opset), dtype, check=check, force=force, tolerance=tolerance)
        chosen = chosen_passes(level, passes or ())
        workload = load_workload(source, bindings, inputs, config, trust_pickle=trust_pickle, static=static)
        plan = ExportPlan(workload, chosen, options, weights, dynamic=not static, trust_pickle=trust_pickle)
        with progress(1 if stage is not None else len(workload.active)) as tell:
            report = export_models(plan, output, stage, tell)
        out.write_each(report, _writers())
        out.show(partial(show, report))


def _file(output: str) -> dict[str, str]:
    """{"-o": the file that is written}; nothing for a folder. BadParameter for standard output."""
    if output == STDOUT:
        raise typer.BadParameter("a model is no text; name a file or a folder", param_hint="'-o'")
    return {} if _folder(output) is not None else {"-o": output}


def _folder(output: str) -> Path | None:
    from graphlab.exporter import is_folder

    return Path(output) if is_folder(output) else None


def show(report: ExportReport, stream: Any) -> None:
    """The whole report on `stream`, for a human."""
    from graphlab.cli.render import console, print_fields, print_lines, print_table
    from graphlab.report.export_tables import export_fields, export_tables, model_notes

    out = console(stream)
    print_fields(out, export_fields(report))
    for table in export_tables(report):
        print_table(out, table)
    for model in report.models:
        print_lines(out, f"{model.stage}: notes", model_notes(model))
    print_lines(out, "Other files", report.files)
    print_lines(out, "Assumptions", report.assumptions)


def _writers() -> Writers:
    from graphlab.pages.saved import page_of
    from graphlab.report.export_writers import export_json, export_markdown

    def page(item: ExportReport) -> str:
        return page_of(item.to_dict())

    return {"--json": export_json, "--markdown": export_markdown, "--html": page}
