"""`graphlab erase demo`: one class of a small model erased in minutes, with what was lost on the way."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphlab.cli.destinations import destinations
from graphlab.cli.erase.options import Force, Json
from graphlab.cli.erase.page import results_in
from graphlab.cli.erase.progress import interruptible, shown
from graphlab.cli.options import Html

if TYPE_CHECKING:
    from graphlab.erase.jobs.demo import Demo
    from graphlab.erase.jobs.demo_report import DemoReport
    from graphlab.erase.worlds.base import Base

CONCEPTS = {"digits": "three", "layout": "ring"}


World = Annotated[str, typer.Option("--world", metavar="W", help="digits or layout.")]
Concept = Annotated[str | None, typer.Option("--concept", metavar="NAME", help="The class to erase: three, or ring.")]
Steps = Annotated[int | None, typer.Option("--steps", min=0, metavar="N", help="Iterations; 0 leaves all as it was.")]
Output = Annotated[
    Path, typer.Option("-o", "--output", metavar="DIR", help="A folder for base, erased base, mask and picture.")
]
Images = Annotated[
    int | None, typer.Option("--images", min=8, metavar="N", help="Images of the concept that are judged.")
]
KeptImages = Annotated[
    int | None, typer.Option("--kept-images", min=1, metavar="N", help="Images of every other class.")
]
OwnBase = Annotated[
    Path | None, typer.Option("--base", metavar="FILE", help="A base of your own, which decides the world.")
]
OwnJudge = Annotated[Path | None, typer.Option("--judge", metavar="FILE", help="A CNN judge of your own.")]


def demo(
    world: World = "digits",
    concept: Concept = None,
    steps: Steps = None,
    output: Output = Path("erase-demo"),
    images: Images = None,
    kept_images: KeptImages = None,
    base: OwnBase = None,
    judge: OwnJudge = None,
    json: Json = None,
    html: Html = None,
    force: Force = False,
) -> None:
    """Erases one class of a small model, here and now: the same images before and after, and what two judges see.

    It takes minutes, and one that was interrupted begins anew.
    """
    from dataclasses import replace

    from graphlab.erase.jobs.demo import DEMOS
    from graphlab.erase.jobs.demo import demo as erase
    from graphlab.erase.jobs.demo_report import DemoReport
    from graphlab.erase.jobs.judges import judges_for
    from graphlab.report.json_writer import to_json

    asked = {"--json": json, "--html": html}
    with destinations(asked, reads=(base, judge), writes=results_in(output)) as out:
        model = _base(world, base)
        name = model.config.world
        given = {"steps": steps, "images": images, "kept_images": kept_images}
        config = replace(DEMOS[name], **{key: value for key, value in given.items() if value is not None})
        judges = judges_for(name, judge)
        named = concept if concept is not None else CONCEPTS[name]
        advice = f"a demonstration does not go on: --force begins anew in {output}"
        with interruptible(advice), shown("maps", "training") as (maps, training):
            made = erase(model, named, judges, output, config, place=base, force=force, on_map=maps, on_step=training)
        out.write_each(DemoReport.of(made), {"--json": to_json, "--html": _page})
        out.show(partial(show, made))


def _page(report: DemoReport) -> str:
    from graphlab.pages.erase import demo_document
    from graphlab.report.html import to_html

    return to_html(demo_document(report))


def _base(world: str, file: Path | None) -> Base:
    from graphlab.erase.worlds.base_file import load_base
    from graphlab.erase.worlds.known import world_of
    from graphlab.erase.worlds.shipped import shipped
    from graphlab.models.erase_bases import FIRST

    return load_base(file) if file is not None else shipped(FIRST[world_of(world).name])


def show(made: Demo, stream: Any) -> None:
    """The picture, what the judges say, and what became of the weights outside the mask."""
    from graphlab.cli.erase.picture import draw
    from graphlab.cli.render import console, print_fields, print_table
    from graphlab.erase.jobs.tables import demo_table

    out = console(stream)
    draw(out, made.picture)
    print_table(out, demo_table(made))
    changes = made.erased.changes
    free, entries = sum(row.kept for row in made.mask.found.rows), sum(row.entries for row in changes)
    print_fields(
        out,
        [
            ("mask", f"{free:,} of {entries:,} entries may change ({free / entries:.1%})"),
            ("changed", f"{sum(row.changed for row in changes):,} entries"),
            ("outside the mask", f"{sum(row.outside or 0 for row in changes)} changed: bit-identical to the base"),
            ("files", ", ".join(map(str, made.files))),
        ],
    )
