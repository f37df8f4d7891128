"""The installed passes."""

from __future__ import annotations

from graphlab.catalogue.data import Listing, Plugin, help_of, listing_of
from graphlab.discovery.registry import Entry
from graphlab.hoisting.stage_rewrite import StageRewrite
from graphlab.passes_base import Analysis, Pass
from graphlab.plugins import registry
from graphlab.rewriting.options import options_of


def listing() -> Listing:
    """Every installed pass."""
    return listing_of("passes", registry(), _pass)


def _pass(item: Entry[type[Pass]]) -> Plugin:
    kind = item.value
    return Plugin(item.name, _kind(kind), help_of(kind), item.owner, item.where, options_of(kind))


def _kind(kind: type[Pass]) -> str:
    if issubclass(kind, Analysis):
        return "analysis"
    if not issubclass(kind, StageRewrite):
        return "rewrite"
    return "stage rewrite" if kind.exact else "stage rewrite, approximate"
