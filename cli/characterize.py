"""`graphlab characterize`: whole generations on a device one does not have, as figures and files."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphlab.cli.destinations import Destinations, destinations
from graphlab.cli.options import Bindings, NoCache, parse_bindings
from graphlab.cli.output import check_folder, write_folder

if TYPE_CHECKING:
    from graphlab.report.characterization_data import CharacterizationReport

_FEW = 4
"""Models up to which stages and assumptions are printed one by one."""

Models = Annotated[
    list[str] | None,
    typer.Argument(metavar="MODEL", help="Built-in models, files, folders or file.py:function; none: the suite."),
]


def characterize(
    models: Models = None,
    device: Annotated[str, typer.Option("--device", metavar="D", help="A name or a .toml file.")] = "a100-80gb",
    bindings: Bindings = None,
    tiny: Annotated[bool, typer.Option("--tiny", help="The suite's tiny presets instead of the suite.")] = False,
    figure: Annotated[
        list[str] | None, typer.Option("--figure", metavar="NAME", help="Only this figure; repeat.")
    ] = None,
    dtype: Annotated[str | None, typer.Option("--dtype", metavar="D", help="float32, float16 or bfloat16.")] = None,
    sweeps: Annotated[bool, typer.Option("--sweeps/--no-sweeps", help="Figures over other sizes.")] = True,
    measured: Annotated[bool, typer.Option("--measured", help="Run the models here as well, beside.")] = False,
    budget: Annotated[float | None, typer.Option("--budget", metavar="SECONDS", help="Of measuring, a model.")] = None,
    jobs: Annotated[int | None, typer.Option("--jobs", min=1, metavar="N", help="Processes that capture.")] = None,
    no_cache: NoCache = False,
    json: Annotated[str | None, typer.Option("--json", metavar="PATH", help="Report as JSON; - is stdout.")] = None,
    html: Annotated[str | None, typer.Option("--html", metavar="PATH", help="One self-contained page.")] = None,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="DIR", help="A CSV file a figure.")] = None,
    svg: Annotated[Path | None, typer.Option("--svg", metavar="DIR", help="A picture a figure.")] = None,
) -> None:
    """Where the time of whole generations goes on a device."""
    if tiny and models:
        raise typer.BadParameter("--tiny is the whole suite; name MODEL-tiny for one", param_hint="'--tiny'")
    if budget is not None and not measured:
        raise typer.BadParameter("only --measured measures", param_hint="'--budget'")
    values = parse_bindings(bindings)
    with destinations({"--json": json, "--html": html}) as out:
        for option, folder in (("--csv", csv), ("--svg", svg)):
            check_folder(folder, option, out.paths)
        from graphlab.cli.render import progress
        from graphlab.hardware import load_device

        hardware = load_device(device)
        from graphlab.characterization.suite import SUITE, TINY
        from graphlab.characterizing import run

        chosen = list(models) if models else list(TINY if tiny else SUITE)
        with progress(len(chosen)) as tell:
            report = run(
                chosen,
                hardware,
                values,
                figure_names=figure,
                dtype=dtype,
                sweeps=sweeps,
                measured=measured,
                budget=budget,
                cache=not no_cache,
                jobs=jobs if jobs is not None else min(2, os.cpu_count() or 1, len(chosen)),
                progress=tell,
            )
        _write(report, out, csv, svg)
        out.show(partial(show, report))


def show(report: CharacterizationReport, stream: Any) -> None:
    """The summary on `stream`, for a human: models, stages, findings, figures and notes."""
    from graphlab.cli.render import console, print_fields, print_lines, print_table
    from graphlab.report.characterization_tables import (
        figures_table,
        findings_table,
        models_table,
        shares_table,
        stages_table,
        times_table,
    )

    out = console(stream)
    print_fields(
        out, [("device", f"{report.device} ({report.device_title})"), ("dtype", report.dtype or "the models'")]
    )
    stages = stages_table(report) if len(report.models) <= _FEW else None
    tables = (models_table(report), times_table(report), stages, shares_table(report))
    for table in (*tables, findings_table(report), figures_table(report)):
        if table is not None:
            print_table(out, table)
    lines = [f"{name}: {line}" for name, found in report.assumptions.items() for line in found]
    if len(report.models) > _FEW:
        lines = [f"{len(lines)} assumptions about {len(report.models)} models: --html and --json list them"]
    print_lines(out, "Assumptions", lines)
    print_lines(out, "Notes", report.notes)


def _write(report: CharacterizationReport, out: Destinations, csv: Path | None, svg: Path | None) -> None:
    from graphlab.report.characterization_writers import to_html, to_json

    tables = {f"{figure.name}.csv": figure.to_csv() for figure in report.figures}
    drawn = {f"{figure.name}.svg": figure.to_svg() for figure in report.figures} if svg is not None else {}
    pictures = {name: text for name, text in drawn.items() if text is not None}
    out.write_each(report, {"--json": to_json, "--html": to_html})
    write_folder(csv, tables)
    write_folder(svg, pictures)
