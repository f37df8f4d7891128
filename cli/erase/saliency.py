"""`graphlab erase saliency`: the weights that have most to do with a concept, as a mask."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphlab.cli.destinations import destinations
from graphlab.cli.erase.grouped import with_options
from graphlab.cli.erase.options import (
    Asked,
    ErasureSourceText,
    Force,
    configured,
    keys_of,
    opened,
    parse_range,
    parse_seeds,
)
from graphlab.cli.erase.page import manifest_page, with_manifest
from graphlab.cli.erase.progress import interruptible, shown
from graphlab.cli.options import Html

if TYPE_CHECKING:
    from graphlab.erase.jobs.saliency import Masked

MAPS = ("fraction", "score", "ranking", "combine", "votes", "draws")
KEYS = {**keys_of("maps", "maps"), **{name: f"maps.{name}" for name in MAPS}, "random": "random"}


@dataclass(frozen=True, slots=True)
class MapOptions(Asked):  # type: ignore[misc]  # mypy knows the folder as cli, and graphlab.cli not at all
    """How the mask is made."""

    seeds: Annotated[
        str | None, typer.Option("--seeds", metavar="SEEDS", help="A map each for every prompt: 0,1,7 or 0:8.")
    ] = None
    fraction: Annotated[
        float | None, typer.Option("--fraction", metavar="F", help="Share of the entries a map keeps.")
    ] = None
    score: Annotated[
        str | None, typer.Option("--score", metavar="S", help="Of gradients: abs_sum, sum_abs or sum_square.")
    ] = None
    ranking: Annotated[str | None, typer.Option("--ranking", metavar="R", help="Within each tensor, or global.")] = None
    combine: Annotated[
        str | None, typer.Option("--combine", metavar="C", help="Maps by intersection, union or vote.")
    ] = None
    votes: Annotated[
        int | None, typer.Option("--votes", metavar="N", help="Maps that have to hold an entry, of a vote.")
    ] = None
    span: Annotated[
        str | None, typer.Option("--range", metavar="LOW:HIGH", help="log SNRs that gradients are taken between.")
    ] = None
    draws: Annotated[int | None, typer.Option("--draws", metavar="N", help="Points of a map.")] = None
    random: Annotated[
        int | None, typer.Option("--random", metavar="SEED", help="Write a random mask, as dense in every weight.")
    ] = None


@with_options(MapOptions)  # type: ignore[untyped-decorator]  # as above
def saliency(
    source: ErasureSourceText,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="MASK.safetensors", help="Where the mask is written.")
    ],
    given: MapOptions,
    html: Html = None,
    force: Force = False,
) -> None:
    """Finds the weights that have most to do with a concept, and writes them as a mask. An interrupted run goes on."""
    seeds, (low, high) = parse_seeds(given.seeds), parse_range(given.span) or (None, None)
    reads = (source, given.prompts, given.config)
    with destinations({"--html": html}, reads=reads, writes=with_manifest(output)) as out:
        model = opened(source, given.shape)
        settings = configured(model, given, KEYS, maps__seeds=seeds, maps__boundary=low, maps__until=high)
        from graphlab.erase.jobs.saliency import PARTIAL, make_mask

        kept = f"the maps so far are kept in {output}{PARTIAL}: the same command goes on from there"
        with interruptible(kept), shown("maps") as (tell,):
            made = make_mask(model, settings, output, force=force, on_progress=tell)
        out.write_each(made.manifest, {"--html": manifest_page})
        out.show(partial(show, made))


def show(made: Masked, stream: Any) -> None:
    """Where the mask sits, by what weights do."""
    from graphlab.cli.render import console, print_fields, print_table
    from graphlab.erase.jobs.tables import role_table

    out = console(stream)
    fields = [
        ("mask", str(made.path)),
        ("manifest", str(made.manifest)),
        ("prompts", ", ".join(map(repr, made.prompts))),
        ("maps", str(len(made.found.curve))),
        ("kept", f"{made.density:.3%} of {sum(row.entries for row in made.found.rows):,} entries"),
    ]
    print_fields(out, fields)
    print_table(out, role_table(made.roles))
