"""The installed backends."""

from __future__ import annotations

from graphlab.catalogue.data import Listing, Plugin, help_of, in_order
from graphlab.discovery.registry import Broken, Entry
from graphlab.errors import GraphlabError
from graphlab.lowering.base import Backend, why_unavailable
from graphlab.lowering.registry import registry
from graphlab.rewriting.options import build, options_of


def listing() -> Listing:
    """Every installed backend, and whether it can run here with its options at their defaults."""
    known = registry()
    rows: list[Plugin] = []
    broken: list[Broken] = list(known.broken)
    for item in known.entries.values():
        try:
            rows.append(_backend(item))
        except GraphlabError as error:
            broken.append(Broken(item.name, item.owner, item.where, error.message))
    return Listing("backends", tuple(rows), in_order(broken))


def _backend(item: Entry[type[Backend]]) -> Plugin:
    options = options_of(item.value)
    needed = [option.name for option in options if option.default is None]
    runs: bool | None = None
    why_not: str | None = f"it depends on {', '.join(needed)}, which must be given"
    if not needed:
        why_not = why_unavailable(build(item.value, {}, "backend"))
        runs = why_not is None
    help = help_of(item.value)
    return Plugin(item.name, "backend", help, item.owner, item.where, options, runs=runs, why_not=why_not)
