"""`graphlab report`: the page of a report that was saved as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graphlab.cli.destinations import destinations


def report(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What --json of a command wrote; or a device's .toml.")],
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="PATH", help="The page, one HTML file; - is stdout.")
    ],
) -> None:
    """Makes the page of a saved report: the same as --html of the command that wrote it."""
    with destinations({"-o": output}, reads=(file,)) as out:
        from graphlab.pages.saved import saved_page

        out.write({"-o": saved_page(file)})
