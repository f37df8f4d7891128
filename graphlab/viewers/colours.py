"""A colour a category, the same in every picture."""

from __future__ import annotations

from graphlab.ops.rule import CATEGORIES

COLOURS = (
    "#a6cee3", "#1f78b4", "#b2df8a", "#e31a1c", "#fdbf6f", "#33a02c", "#fb9a99", "#cab2d6", "#6a3d9a", "#ffff99",
    "#d9d9d9", "#b15928",
)  # fmt: skip
"""One a category, in the order of CATEGORIES (ColorBrewer's Paired)."""

PAPER = "#ffffff"

_BY_CATEGORY = dict(zip(CATEGORIES, COLOURS, strict=True))
_DARK = frozenset(("#1f78b4", "#e31a1c", "#33a02c", "#6a3d9a", "#b15928"))


def colour_of(category: str) -> str:
    """The colour of `category` as "#rrggbb"; white for several categories in one, and for none."""
    return _BY_CATEGORY.get(category, PAPER)


def text_on(colour: str) -> str:
    """Black or white, whichever can be read on `colour`."""
    return PAPER if colour in _DARK else "#000000"
