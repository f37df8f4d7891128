"""`graphlab passes`, `models`, `devices` and `backends`: what can be named, who it comes from, and its options."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from graphlab.cli.destinations import Destinations, destinations

if TYPE_CHECKING:
    from graphlab.catalogue.data import Listing

Json = Annotated[str | None, typer.Option("--json", metavar="FILE", help="The list as JSON; - is stdout.")]


def passes(json: Json = None) -> None:
    """Lists the installed passes, who they come from, and their options."""
    with destinations({"--json": json}) as out:
        from graphlab.catalogue import passes as listed

        _hand_out(listed.listing(), out)


def models(json: Json = None) -> None:
    """Lists the models that can be named, built-in and of plug-ins."""
    with destinations({"--json": json}) as out:
        from graphlab.catalogue import models as listed

        _hand_out(listed.listing(), out)


def devices(json: Json = None) -> None:
    """Lists the devices whose peaks are known, with the source of every number."""
    with destinations({"--json": json}) as out:
        from graphlab.catalogue import devices as listed

        _hand_out(listed.listing(), out)


def backends(json: Json = None) -> None:
    """Lists the installed backends, whether each can run here, and their options."""
    with destinations({"--json": json}) as out:
        from graphlab.catalogue import backends as listed

        _hand_out(listed.listing(), out)


def _hand_out(listing: Listing, out: Destinations) -> None:
    out.write_each(listing, {"--json": _json})
    out.show(partial(show, listing))


def _json(listing: Listing) -> str:
    from json import dumps

    return dumps(listing.to_dict(), indent=2, ensure_ascii=True, allow_nan=False) + "\n"


def show(listing: Listing, stream: TextIO) -> None:
    """The whole list on `stream`, for a human."""
    from graphlab.catalogue.tables import listing_tables
    from graphlab.cli.render import console, print_lines, print_table

    out = console(stream)
    for table in listing_tables(listing):
        print_table(out, table)
    known = [item.hardware for item in listing.plugins if item.hardware is not None]
    sources = [f"{item.name}: {', '.join(_urls(item.sources.values()))}" for item in known if item.sources]
    print_lines(out, "Sources", sources)
    print_lines(out, "Notes", [f"{item.name}: {item.note}" for item in known if item.note])


def _urls(sources: Iterable[str]) -> Iterable[str]:
    return dict.fromkeys(url for source in sources for url in source.split(" and "))
