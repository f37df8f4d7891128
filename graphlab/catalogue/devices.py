"""The devices whose peaks are known."""

from __future__ import annotations

from graphlab.catalogue.data import Listing, Plugin, listing_of
from graphlab.discovery.registry import Entry
from graphlab.hardware import Hardware, registry


def listing() -> Listing:
    """Every device whose peaks are known."""
    return listing_of("devices", registry(), _device)


def _device(item: Entry[Hardware]) -> Plugin:
    device = item.value
    return Plugin(item.name, device.kind, device.title, item.owner, item.where, hardware=device)
