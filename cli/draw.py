"""`graphlab draw`: a model as a file for Model Explorer, Perfetto, Graphviz or a reader of GraphML."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphlab.cli.options import (
    Bindings,
    Config,
    Device,
    Inputs,
    NoCache,
    Source,
    Stage,
    Static,
    TrustPickle,
    load_workload,
)
from graphlab.cli.output import STDOUT, check_outputs, write_outputs

if TYPE_CHECKING:
    from graphlab.viewers.picture import Picture


class Format(StrEnum):
    """What to write; the values of graphlab.viewers.formats.FORMATS."""

    model_explorer = "model-explorer"
    perfetto = "perfetto"
    dot = "dot"
    graphml = "graphml"


class Runtime(StrEnum):
    """How a predicted timeline is run; the values of graphlab.tracing.TRACED."""

    materialized = "eager-materialized"
    eager = "eager"
    compiled = "compiled"
    ideal = "ideal"


def draw(
    source: Source,
    output: Annotated[str, typer.Option("-o", "--output", metavar="FILE", help="Where to write; - is stdout.")],
    format: Annotated[Format | None, typer.Option("--format", help="What to write, where FILE does not tell.")] = None,
    device: Device = None,
    stage: Stage = None,
    bindings: Bindings = None,
    inputs: Inputs = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=3, metavar="N", help="Most nodes a stage; above, modules collapse.")
    ] = None,
    mask: Annotated[
        list[Path] | None, typer.Option("--mask", metavar="FILE", help="A weight mask to draw the density of; repeat.")
    ] = None,
    runtime: Annotated[
        Runtime | None, typer.Option("--runtime", help="With perfetto: how the device runs it (eager).")
    ] = None,
    expand: Annotated[
        int | None, typer.Option("--expand", min=0, metavar="N", help="With perfetto: calls a stage node by node (1).")
    ] = None,
    static: Static = False,
    config: Config = None,
    trust_pickle: TrustPickle = False,
    no_cache: NoCache = False,
) -> None:
    """Draws a model's graph, or the timeline of a generation, for a viewer."""
    from graphlab.viewers.formats import format_of

    kind = format_of(None if output == STDOUT else output, format.value if format is not None else None)
    _check(kind, device, limit, mask, runtime, expand)
    paths = _paths(kind, output, timed=device is not None, masks=len(mask or ()))
    check_outputs(paths)
    from graphlab.cli.render import progress
    from graphlab.hardware import load_device

    hardware = load_device(device) if device is not None else None
    workload = load_workload(source, bindings, inputs, config, trust_pickle=trust_pickle, static=static)
    with progress(1 if stage is not None else len(workload.active)) as tell:
        if kind == "perfetto":
            from graphlab.tracing import predicted_picture

            assert hardware is not None
            picture = predicted_picture(
                workload,
                hardware,
                stage=stage,
                runtime=(runtime or Runtime.eager).value,
                expand=1 if expand is None else expand,
                cache=not no_cache,
                progress=tell,
            )
        else:
            from graphlab.drawing import drawing, graph_picture
            from graphlab.stage_analysis import Options

            how = Options(dynamic=not static, cache=not no_cache)
            picture = graph_picture(kind, drawing(workload, how, hardware, stage, mask or (), tell), limit)
    files = {STDOUT: picture.text} if output == STDOUT else picture.files(output)
    show(picture, list(files), sys.stderr if output == STDOUT else sys.stdout)
    write_outputs(files)


def _check(
    kind: str,
    device: str | None,
    limit: int | None,
    mask: list[Path] | None,
    runtime: Runtime | None,
    expand: int | None,
) -> None:
    """BadParameter for options that say nothing about `kind`, and for a timeline without a device."""
    if kind == "perfetto" and device is None:
        raise typer.BadParameter("a predicted timeline needs one (graphlab devices)", param_hint="'--device'")
    timeline, graph = {"--runtime": runtime, "--expand": expand}, {"--limit": limit, "--mask": mask or None}
    for option, value in (graph if kind == "perfetto" else timeline).items():
        if value is not None:
            raise typer.BadParameter(f"--format {kind} takes none", param_hint=f"'{option}'")


def _paths(kind: str, output: str, *, timed: bool, masks: int) -> dict[str, str]:
    """{what: where} of every file that will be written; on standard output there is one."""
    from graphlab.viewers.formats import overlay_names, overlay_path

    found = {"-o": output}
    if kind == "model-explorer" and output != STDOUT:
        names = overlay_names(timed=timed, masks=masks)
        found |= {f"its overlay {name}": overlay_path(output, name) for name in names}
    return found


def show(picture: Picture, paths: list[str], stream: Any) -> None:
    """What was drawn on `stream`, for a human."""
    from graphlab.cli.render import console, print_lines, print_table
    from graphlab.viewers.formats import opening

    out = console(stream)
    for table in picture.tables:
        print_table(out, table)
    print_lines(out, "Notes", picture.notes)
    if paths != [STDOUT]:
        print_lines(out, "Files", paths)
    print_lines(out, "To open it", opening(picture.format, paths))
