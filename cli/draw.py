"""`graphlab draw`: a model as a file for Model Explorer, Perfetto, Graphviz or a reader of GraphML."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphlab.cli.destinations import Destinations, destinations
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
from graphlab.cli.output import STDOUT, write_output

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
    files = _files(kind, output, timed=device is not None, masks=len(mask or ()))
    with destinations({"-o": output}, files, reads=(source, config)) as out:
        from graphlab.cli.render import progress
        from graphlab.drawing import draw as drawn
        from graphlab.hardware import load_device

        hardware = load_device(device) if device is not None else None  # before the model is loaded
        workload = load_workload(source, bindings, inputs, config, trust_pickle=trust_pickle, static=static)
        with progress(1 if stage is not None else len(workload.active)) as tell:
            picture = drawn(
                workload,
                format=kind,
                device=hardware,
                stage=stage,
                masks=mask or (),
                limit=limit,
                runtime=runtime.value if runtime is not None else None,
                expand=expand,
                dynamic=not static,
                cache=not no_cache,
                progress=tell,
            )
        out.show(partial(show, picture, _write(picture, output, out)))


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


def _files(kind: str, output: str, *, timed: bool, masks: int) -> dict[str, str]:
    """{what: where} of every file that will be written beside `output`; none beside standard output."""
    from graphlab.viewers.formats import overlay_names, overlay_path

    if kind != "model-explorer" or output == STDOUT:
        return {}
    return {f"its overlay {name}": overlay_path(output, name) for name in overlay_names(timed=timed, masks=masks)}


def _write(picture: Picture, output: str, out: Destinations) -> list[str]:
    """Writes the picture and its overlays; where they are."""
    out.write({"-o": picture.text})
    files = {} if output == STDOUT else picture.files(output)
    for path, text in files.items():
        if path != output:
            write_output(path, text)
    return list(files) or [STDOUT]


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
