"""`graphlab passes`, `models`, `devices` and `backends`: what can be named, who it comes from, and its options."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from graphlab.cli.options import Html
from graphlab.cli.output import STDOUT, check_outputs, write_outputs

if TYPE_CHECKING:
    from graphlab.catalogue.data import Listing

Json = Annotated[str | None, typer.Option("--json", metavar="FILE", help="The list as JSON; - is stdout.")]


def passes(json: Json = None, html: Html = None) -> None:
    """Lists the installed passes, who they come from, and their options."""
    outputs = _outputs(json, html)
    from graphlab.catalogue import passes as listed

    _hand_out(listed.listing(), outputs)


def models(json: Json = None, html: Html = None) -> None:
    """Lists the models that can be named, built-in and of plug-ins."""
    outputs = _outputs(json, html)
    from graphlab.catalogue import models as listed

    _hand_out(listed.listing(), outputs)


def devices(json: Json = None, html: Html = None) -> None:
    """Lists the devices whose peaks are known, with the source of every number."""
    outputs = _outputs(json, html)
    from graphlab.catalogue import devices as listed

    _hand_out(listed.listing(), outputs)


def backends(json: Json = None, html: Html = None) -> None:
    """Lists the installed backends, whether each can run here, and their options."""
    outputs = _outputs(json, html)
    from graphlab.catalogue import backends as listed

    _hand_out(listed.listing(), outputs)


def _outputs(json: str | None, html: str | None) -> dict[str, str]:
    outputs = {option: path for option, path in (("--json", json), ("--html", html)) if path is not None}
    check_outputs(outputs)
    return outputs


def _hand_out(listing: Listing, outputs: dict[str, str]) -> None:
    show(listing, sys.stderr if STDOUT in outputs.values() else sys.stdout)
    texts = {"--json": _json, "--html": _page}
    write_outputs({path: texts[option](listing) for option, path in outputs.items()})


def _json(listing: Listing) -> str:
    import json

    return json.dumps(listing.to_dict(), indent=2, ensure_ascii=True, allow_nan=False) + "\n"


def _page(listing: Listing) -> str:
    from graphlab.pages.listing import listing_document
    from graphlab.report.html import to_html

    return to_html(listing_document(listing))


def show(listing: Listing, stream: TextIO) -> None:
    """The whole list on `stream`, for a human."""
    from graphlab.catalogue.tables import device_lines, listing_tables
    from graphlab.cli.render import console, print_lines, print_table

    out = console(stream)
    for table in listing_tables(listing):
        print_table(out, table)
    sources, notes = device_lines(listing)
    print_lines(out, "Sources", sources)
    print_lines(out, "Notes", notes)
