"""`graphlab mask`: where weight masks sit in a model, several ranges of noise beside each other."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphlab.cli.destinations import Writers, destinations
from graphlab.cli.options import Bindings, Config, Html, Inputs, Source, Stage, Static, TrustPickle, load_workload
from graphlab.cli.output import OutputError

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
    with destinations(
        {"--json": json, "--markdown": markdown, "--html": html, "--csv": csv, "--svg": svg}, reads=(source, *masks)
    ) as out:
        from graphlab.api import one_stage
        from graphlab.masks.placement import placement
        from graphlab.rewriter import stage_program

        workload = load_workload(source, bindings, inputs, config, trust_pickle=trust_pickle, static=static)
        name = one_stage(workload, _stage(workload, stage))
        program = stage_program(workload, name, dynamic=not static)
        found = placement(source, name, program.graph, masks)
        out.write_each(found, _writers())
        out.show(partial(show, found))


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


def _writers() -> Writers:
    from graphlab.masks.placement import to_json, to_markdown
    from graphlab.pages.others import mask_document
    from graphlab.report.html import to_html

    def page(item: Placement) -> str:
        return to_html(mask_document(item))

    return {"--json": to_json, "--markdown": to_markdown, "--html": page, "--csv": _csv, "--svg": _svg}


def _csv(found: Placement) -> str:
    from graphlab.masks.placement import u_shape

    return u_shape(found).to_csv()


def _svg(found: Placement) -> str:
    from graphlab.masks.placement import u_shape

    figure = u_shape(found)
    made = figure.to_svg()
    if made is None:
        raise OutputError(f"there is nothing to draw for --svg: {'; '.join(figure.notes)}")
    return made
