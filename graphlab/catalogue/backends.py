"""The installed backends."""

from __future__ import annotations

from graphlab.catalogue.data import Listing, Plugin, help_of, listing_of
from graphlab.discovery.registry import Entry
from graphlab.lowering.base import Backend
from graphlab.lowering.contract import check_backend, why_unavailable
from graphlab.lowering.registry import registry
from graphlab.rewriting.options import build, options_of


def listing() -> Listing:
    """Every installed backend, and whether it can run here with its options at their defaults."""
    return listing_of("backends", registry(), _backend)


def _backend(item: Entry[type[Backend]]) -> Plugin:
    options = options_of(item.value)
    needed = [option.name for option in options if option.default is None]
    runs: bool | None = None
    why_not: str | None = f"it depends on {', '.join(needed)}, which must be given"
    if not needed:
        backend = build(item.value, {}, registry())
        check_backend(backend)
        why_not = why_unavailable(backend)
        runs = why_not is None
    help = help_of(item.value)
    return Plugin(item.name, "backend", help, item.owner, item.where, options, runs=runs, why_not=why_not)
