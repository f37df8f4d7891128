"""`graphlab profile`: where the time of a model went on this machine, as tables and files."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphlab.cli.analyze import By
from graphlab.cli.destinations import Destinations, destinations
from graphlab.cli.options import (
    DEPTH,
    TOP,
    Bindings,
    Config,
    Html,
    Inputs,
    Source,
    Stage,
    TrustPickle,
    check_depth,
    load_workload,
)

if TYPE_CHECKING:
    from graphlab.report.profile_data import ProfileReport
    from graphlab.viewers.picture import Picture


class TorchDevice(StrEnum):
    """What to run on; the values of graphlab.measuring.machine.DEVICES."""

    cpu = "cpu"
    cuda = "cuda"


def profile(
    source: Source,
    stage: Stage = None,
    bindings: Bindings = None,
    inputs: Inputs = None,
    rounds: Annotated[int, typer.Option("--rounds", metavar="N", help="Timed runs of each call.")] = 5,
    budget: Annotated[
        float | None, typer.Option("--budget", metavar="SECONDS", help="Start no round once they are over.")
    ] = None,
    threads: Annotated[int | None, typer.Option("--threads", metavar="N", help="torch's threads.")] = None,
    dtype: Annotated[str | None, typer.Option("--dtype", metavar="D", help="Cast to it: float32, ...")] = None,
    device: Annotated[TorchDevice, typer.Option("--device", help="What to run on.")] = TorchDevice.cpu,
    by: Annotated[By, typer.Option("--by", help="What to add times up by.")] = By.category,
    depth: Annotated[
        int | None, typer.Option("--depth", min=1, metavar="N", help="Names of a module path with --by module: 2.")
    ] = None,
    top: Annotated[int | None, typer.Option("--top", min=1, metavar="N", help="Rows of that table.")] = None,
    config: Config = None,
    trust_pickle: TrustPickle = False,
    json: Annotated[str | None, typer.Option("--json", metavar="PATH", help="Report as JSON; - is stdout.")] = None,
    csv: Annotated[str | None, typer.Option("--csv", metavar="PATH", help="A row a node; - is stdout.")] = None,
    markdown: Annotated[str | None, typer.Option("--markdown", metavar="PATH", help="Tables; - is stdout.")] = None,
    html: Html = None,
    trace: Annotated[
        str | None, typer.Option("--trace", metavar="PATH", help="Timeline for Perfetto; - is stdout.")
    ] = None,
    predicted: Annotated[
        str | None, typer.Option("--predicted", metavar="D", help="Beside what is measured: estimates for device D.")
    ] = None,
) -> None:
    """Runs a model on this machine and says where the time went."""
    check_depth(depth, by)
    if predicted is not None and json is None and html is None and trace is None:
        raise typer.BadParameter("estimates go into --html, --json or --trace: give one", param_hint="'--predicted'")
    asked = {"--json": json, "--csv": csv, "--markdown": markdown, "--html": html, "--trace": trace}
    with destinations(asked, reads=(source, config)) as out:
        from graphlab.cli.render import progress
        from graphlab.hardware import load_device

        hardware = load_device(predicted) if predicted is not None else None  # before the model is loaded
        workload = load_workload(source, bindings, inputs, config, trust_pickle=trust_pickle, static=True)
        from graphlab.profiling import profile as profile_workload

        with progress(1 if stage is not None else len(workload.active)) as tell:
            report = profile_workload(
                workload,
                stage=stage,
                rounds=rounds,
                budget=budget,
                threads=threads,
                dtype=dtype,
                device=device.value,
                predicted=hardware,
                progress=tell,
            )
        picture = _trace(report, workload, hardware, stage) if trace is not None else None
        _write(report, picture, out)
        out.show(lambda stream: show(report, by.value, depth or DEPTH, top or TOP.get(by.value), stream))
        if picture is not None:
            out.show(partial(show_trace, picture))


def show(report: ProfileReport, by: str, depth: int, top: int | None, stream: Any) -> None:
    """The whole report on `stream`, for a human."""
    from graphlab.cli.render import console, print_fields, print_lines, print_table
    from graphlab.report.profile_tables import profile_fields, profile_notes, profile_tables

    out = console(stream)
    print_fields(out, profile_fields(report))
    for table in profile_tables(report, by, depth=depth, top=top):
        print_table(out, table)
    print_lines(out, "Assumptions", report.assumptions)
    print_lines(out, "Notes", profile_notes(report))


def _write(report: ProfileReport, trace: Picture | None, out: Destinations) -> None:
    from graphlab.pages.profile import profile_document
    from graphlab.report.html import to_html
    from graphlab.report.profile_writers import profile_csv, profile_json, profile_markdown

    def page(item: ProfileReport) -> str:
        return to_html(profile_document(item))

    out.write_each(
        report, {"--json": profile_json, "--csv": profile_csv, "--markdown": profile_markdown, "--html": page}
    )
    if trace is not None:
        out.write({"--trace": trace.text})


def _trace(report: ProfileReport, workload: Any, hardware: Any, stage: str | None) -> Picture:
    from graphlab.tracing import measured_picture

    return measured_picture(report, workload, hardware, stage=stage)


def show_trace(picture: Picture, stream: Any) -> None:
    """What the trace holds beside what was measured, on `stream`, for a human."""
    from graphlab.cli.render import console, print_lines, print_table

    out = console(stream)
    for table in picture.tables:
        print_table(out, table)
    print_lines(out, "Trace", picture.notes)
