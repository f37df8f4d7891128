"""The installed passes."""

from __future__ import annotations

from graphlab.catalogue.data import Listing, Plugin, help_of
from graphlab.hoisting.stage_rewrite import StageRewrite
from graphlab.passes_base import Analysis, Pass
from graphlab.plugins import registry
from graphlab.rewriting.options import options_of


def listing() -> Listing:
    """Every installed pass."""
    known = registry()
    rows = tuple(
        Plugin(
            item.name, _kind(item.value), help_of(item.value), item.owner, item.where, options_of(item.value)
        )
        for item in known.entries.values()
    )  # fmt: skip
    return Listing("passes", rows, known.broken)


def _kind(kind: type[Pass]) -> str:
    if issubclass(kind, Analysis):
        return "analysis"
    if not issubclass(kind, StageRewrite):
        return "rewrite"
    return "stage rewrite" if kind.exact else "stage rewrite, approximate"
