"""The pages of `graphlab passes`, `models`, `devices` and `backends`."""

from __future__ import annotations

from graphlab.catalogue.data import Listing
from graphlab.catalogue.tables import device_lines, listing_tables
from graphlab.report.html import Document, Section, plain


def listing_document(listing: Listing) -> Document:
    """The tables of the list; of devices, the source of every number too."""
    sources, notes = device_lines(listing)
    return Document(
        title=f"{listing.kind.capitalize()} of graphlab",
        sections=tuple(Section(table.title, tables=(plain(table),)) for table in listing_tables(listing)),
        notes=(*(f"source of {line}" for line in sources), *notes),
    )
