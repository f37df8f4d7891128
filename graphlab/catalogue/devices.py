"""The devices whose peaks are known."""

from __future__ import annotations

from graphlab.catalogue.data import Listing, Plugin
from graphlab.hardware import registry


def listing() -> Listing:
    """Every device whose peaks are known."""
    known = registry()
    rows = tuple(
        Plugin(item.name, item.value.kind, item.value.title, item.owner, item.where, hardware=item.value)
        for item in known.entries.values()
    )
    return Listing("devices", rows, known.broken)
