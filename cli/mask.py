"""`graphlab mask`: where weight masks sit in a model, several ranges of noise beside each other."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphlab.cli.options import Bindings, Config, Html, Inputs, Source, Stage, Static, TrustPickle, load_workload
from graphlab.cli.output import STDOUT, OutputError, check_outputs, write_outputs

if TYPE_CHECKING:
    from graphlab.masks.placement import Placement


def mask(
    source: Source,
    masks: Annotated[list[Path], typer.Option("--mask", metavar="FILE", help="A mask; repeat to compare several.")],
    stage: Stage = None,
    bindings: Bindings = None,
    inputs: Inputs = None,
    static: Static = False,
    config: Config = None,
    trust_pickle: TrustPickle = False,
    json: Annotated[str | None, typer.Option("--json", metavar="PATH", help="Report as JSON; - is stdout.")] = None,
    markdown: Annotated[str | None, typer.Option("--markdown", metavar="PATH", help="Tables; - is stdout.")] = None,
    html: Html = None,
    csv: Annotated[str | None, typer.Option("--csv", metavar="PATH", help="A row a cell of the picture.")] = None,
    svg: Annotated[
        str | None, typer.Option("--svg", metavar="PATH", help="Picture over the U-Net, a panel a mask.")
    ] = None,
) -> None:
    """Where masks let a model change: density and saliency by role, attention, block and layer."""
    given = {"--json": json, "--markdown": markdown, "--html": html, "--csv": csv, "--svg": svg}
    outputs = {option: path for option, path in given.items() if path is not None}
    check_outputs(outputs)
    from graphlab.api import one_stage
    from graphlab.masks.placement import placement
    from graphlab.rewriter import stage_program

    workload = load_workload(source, bindings, inputs, config, trust_pickle=trust_pickle, static=static)
    name = one_stage(workload, _stage(workload, stage))
    program = stage_program(workload, name, dynamic=not static)
    found = placement(source, name, program.graph, masks)
    texts = _texts(found, outputs)
    show(found, sys.stderr if STDOUT in outputs.values() else sys.stdout)
    write_outputs(texts)


def _stage(workload: Any, stage: str | None) -> str | None:
    """The stage asked for; without one the `unet`, where there is one."""
    names = [item.name for item in workload.active]
    return "unet" if stage is None and "unet" in names else stage


def show(found: Placement, stream: Any) -> None:
    """The tables on `stream`, for a human."""
    from graphlab.cli.render import console, print_fields, print_table
    from graphlab.masks.placement import tables

    out = console(stream)
    print_fields(out, [("source", found.source), ("stage", found.stage)])
    for table in tables(found):
        print_table(out, table)


def _texts(found: Placement, outputs: dict[str, str]) -> dict[str, str]:
    from graphlab.masks.placement import to_json, to_markdown, u_shape
    from graphlab.pages.others import mask_document
    from graphlab.report.html import to_html

    def page(item: Placement) -> str:
        return to_html(mask_document(item))

    writers = {"--json": to_json, "--markdown": to_markdown, "--html": page}
    texts = {}
    for option, path in outputs.items():
        if option in writers:
            texts[path] = writers[option](found)
            continue
        figure = u_shape(found)
        made = figure.to_csv() if option == "--csv" else figure.to_svg()
        if made is None:
            raise OutputError(f"there is nothing to draw for {option}: {'; '.join(figure.notes)}")
        texts[path] = made
    return texts
