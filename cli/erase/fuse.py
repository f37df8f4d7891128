"""`graphlab erase fuse`: several low-rank erasures as one model, in closed form."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphlab.cli.destinations import destinations
from graphlab.cli.erase.options import ErasureSourceText, Force, opened
from graphlab.cli.erase.page import manifest_page, results_in
from graphlab.cli.options import Html

if TYPE_CHECKING:
    from graphlab.erase.jobs.fuse import Fused


def fuse(
    source: ErasureSourceText,
    lora: Annotated[
        list[Path],
        typer.Option("--lora", metavar="PATH", help="A folder of `graphlab erase train --lora`, or its file; repeat."),
    ],
    preserve: Annotated[
        Path, typer.Option("--preserve", metavar="FILE", help="Captions whose images are to stay, one a line.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="A folder for what is left.")],
    keep: Annotated[float, typer.Option("--keep", metavar="K", help="How much the captions count.")] = 1.0,
    rho: Annotated[float, typer.Option("--rho", metavar="R", help="Relative ridge towards the base.")] = 1e-3,
    html: Html = None,
    force: Force = False,
) -> None:
    """Fuses low-rank erasures into the keys and values of a model's cross-attention, and writes what is left."""
    reads = (source, preserve, *lora, *(place for path in lora for place in results_in(path)))
    with destinations({"--html": html}, reads=reads, writes=results_in(output)) as out:
        given = opened(source, None)
        from graphlab.erase.jobs.fuse import FuseConfig, fuse_loras
        from graphlab.erase.jobs.lora_file import read_lora

        read = [read_lora(path) for path in lora]
        made = fuse_loras(given, read, preserve, output, FuseConfig(keep, rho), force=force)
        out.write_each(made.manifest, {"--html": manifest_page})
        out.show(partial(show, made, [path.name for path in lora]))


def show(made: Fused, names: list[str], stream: Any) -> None:
    """What became of every edit."""
    from graphlab.cli.render import console, print_fields, print_table
    from graphlab.erase.jobs.tables import fusion_table

    out = console(stream)
    print_fields(out, [("kept", f"{made.kept_tokens:,} tokens"), ("files", ", ".join(map(str, made.files)))])
    print_table(out, fusion_table(made.rows, names))
