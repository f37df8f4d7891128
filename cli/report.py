"""`graphlab report`: the page of a report that was saved as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graphlab.cli.output import check_outputs, write_outputs


def report(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What --json of any command wrote.")],
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="PATH", help="The page, one HTML file; - is stdout.")
    ],
) -> None:
    """Makes the page of a saved report: the same as --html of the command that wrote it."""
    check_outputs({"-o": output})
    from graphlab.pages.saved import saved_document
    from graphlab.report.html import to_html

    write_outputs({output: to_html(saved_document(file))})
