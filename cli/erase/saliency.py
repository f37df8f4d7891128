"""`graphlab erase saliency`: the weights that have most to do with a concept, as a mask."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphlab.cli.erase.options import (
    Batch,
    Checkpointing,
    Concepts,
    ConfigFile,
    ErasureSourceText,
    Force,
    Guidance,
    Method,
    Parameters,
    PathSteps,
    PromptFile,
    Prompts,
    Shape,
    configured,
    opened,
    parse_range,
    parse_seeds,
)
from graphlab.cli.erase.progress import interruptible, shown

if TYPE_CHECKING:
    from graphlab.erase.jobs.saliency import Masked


def saliency(
    source: ErasureSourceText,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="MASK.safetensors", help="Where the mask is written.")
    ],
    concept: Concepts = None,
    prompt: Prompts = None,
    prompts: PromptFile = None,
    seeds: Annotated[
        str | None, typer.Option("--seeds", metavar="SEEDS", help="A map each for every prompt: 0,1,7 or 0:8.")
    ] = None,
    fraction: Annotated[
        float | None, typer.Option("--fraction", metavar="F", help="Share of the entries a map keeps.")
    ] = None,
    score: Annotated[
        str | None, typer.Option("--score", metavar="S", help="Of gradients: abs_sum, sum_abs or sum_square.")
    ] = None,
    ranking: Annotated[
        str | None, typer.Option("--ranking", metavar="R", help="Within each tensor, or global.")
    ] = None,
    combine: Annotated[
        str | None, typer.Option("--combine", metavar="C", help="Maps by intersection, union or vote.")
    ] = None,
    votes: Annotated[
        int | None, typer.Option("--votes", metavar="N", help="Maps that have to hold an entry, of a vote.")
    ] = None,
    span: Annotated[
        str | None, typer.Option("--range", metavar="LOW:HIGH", help="log SNRs that gradients are taken between.")
    ] = None,
    draws: Annotated[int | None, typer.Option("--draws", metavar="N", help="Points of a map.")] = None,
    random: Annotated[
        int | None, typer.Option("--random", metavar="SEED", help="Write a random mask, as dense in every weight.")
    ] = None,
    method: Method = None,
    path_steps: PathSteps = None,
    guidance: Guidance = None,
    batch: Batch = None,
    parameters: Parameters = None,
    checkpointing: Checkpointing = None,
    shape: Shape = None,
    config: ConfigFile = None,
    force: Force = False,
) -> None:
    """Finds the weights that have most to do with a concept, and writes them as a mask. An interrupted run goes on."""
    chosen, between = parse_seeds(seeds), parse_range(span) or (None, None)
    given = opened(source, shape)
    values = {
        "method": method,
        "random": random,
        "maps.seeds": chosen,
        "maps.fraction": fraction,
        "maps.score": score,
        "maps.ranking": ranking,
        "maps.combine": combine,
        "maps.votes": votes,
        "maps.boundary": between[0],
        "maps.until": between[1],
        "maps.draws": draws,
        "maps.steps": path_steps,
        "maps.guidance": guidance,
        "maps.batch": batch,
        "maps.parameters": parameters,
        "maps.gradient_checkpointing": checkpointing,
    }
    settings = configured(given, config, concept, prompt, prompts, values)
    from graphlab.erase.jobs.saliency import PARTIAL, make_mask

    kept = f"the maps so far are kept in {output}{PARTIAL}: the same command goes on from there"
    with interruptible(kept), shown("maps") as (tell,):
        made = make_mask(given, settings, output, force=force, on_progress=tell)
    show(made, sys.stdout)


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
