"""`graphlab new-pass`: a pass that works, with its test, to start from."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from graphlab.scaffold.write import NewPass


class Kind(StrEnum):
    """What a new pass can be; the values of graphlab.scaffold.write.KINDS."""

    analysis = "analysis"
    rewrite = "rewrite"


def new_pass(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Lower-case words joined by '-': fuse-gelu.")],
    kind: Annotated[
        Kind, typer.Option("--kind", help="An analysis finds facts, a rewrite changes programs.")
    ] = Kind.rewrite,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FOLDER", help="Where to write.")] = Path(),
) -> None:
    """Writes a pass that works and its test, and says how to run and how to install it."""
    from graphlab.scaffold.write import new_pass as write

    for line in told(write(name, kind.value, output)):
        typer.echo(line)


def told(made: NewPass) -> list[str]:
    """What was written and what to do with it, a line each."""
    command = "analyze" if made.kind == Kind.analysis else "rewrite"
    return [
        f"wrote {made.file} (the pass {made.name}, class {made.cls}) and {made.test} (its test)",
        "",
        f"test it:     pytest {made.test}",
        f"run it:      graphlab {command} SOURCE --pass {made.file}:{made.cls}",
        "install it:  in the pyproject.toml of a package that holds the file,",
        '                 [project.entry-points."graphlab.passes"]',
        f'                 {made.name} = "PACKAGE.{made.module}"',
        f"             then `graphlab passes` lists it, and --pass {made.name} runs it",
    ]
