"""`graphlab passes`, `models`, `devices` and `backends`: what can be named, who it comes from, and its options."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from graphlab.cli.destinations import Destinations, destinations
from graphlab.cli.options import Html

if TYPE_CHECKING:
    from graphlab.catalogue.data import Listing

Json = Annotated[str | None, typer.Option("--json", metavar="FILE", help="The list as JSON; - is stdout.")]


def passes(json: Json = None, html: Html = None) -> None:
    """Lists the installed passes, who they come from, and their options."""
    with destinations({"--json": json, "--html": html}) as out:
        from graphlab.catalogue import passes as listed

        _hand_out(listed.listing(), out)


def models(json: Json = None, html: Html = None) -> None:
    """Lists the models that can be named, built-in and of plug-ins."""
    with destinations({"--json": json, "--html": html}) as out:
        from graphlab.catalogue import models as listed

        _hand_out(listed.listing(), out)


def devices(json: Json = None, html: Html = None) -> None:
    """Lists the devices whose peaks are known, with the source of every number."""
    with destinations({"--json": json, "--html": html}) as out:
        from graphlab.catalogue import devices as listed

        _hand_out(listed.listing(), out)


def backends(json: Json = None, html: Html = None) -> None:
    """Lists the installed backends, whether each can run here, and their options."""
    with destinations({"--json": json, "--html": html}) as out:
        from graphlab.catalogue import backends as listed

        _hand_out(listed.listing(), out)


def _hand_out(listing: Listing, out: Destinations) -> None:
    from graphlab.report.json_writer import to_json

    out.write_each(listing, {"--json": to_json, "--html": _page})
    out.show(partial(show, listing))


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
