"""Pieces of Vega-Lite that the figures share: colours that colour-blind readers tell apart, legends that pick."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphlab.report.figure import Column

Spec = dict[str, Any]

COLOURS = (
    "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#f0e442", "#000000",
)  # fmt: skip
"""Okabe and Ito, "Color Universal Design", 2008."""

MANY_COLOURS = (
    "#332288", "#88ccee", "#44aa99", "#117733", "#999933", "#ddcc77", "#cc6677", "#882255", "#aa4499", "#4477aa",
    "#ee8866", "#bbcc33", "#bbbbbb",
)  # fmt: skip
"""Paul Tol, "Colour Schemes" (SRON/EPS/TN/09-002), muted and more, for up to thirteen classes."""

WAY_COLOURS = {"domain": ["baseline", "fused"], "range": [COLOURS[0], COLOURS[1]]}

FADED: Spec = {"condition": {"param": "pick", "value": 1}, "value": 0.12}
"""Opacity of what the legend has not picked."""


def picks(field: str) -> list[Spec]:
    """The `params` that let a click in the legend of `field` pick one class."""
    return [{"name": "pick", "select": {"type": "point", "fields": [field]}, "bind": "legend"}]


def colour(field: str, title: str | None = None, domain: Sequence[str] | None = None, many: bool = False) -> Spec:
    """The colour channel of `field`; classes keep the order of `domain`."""
    scale: Spec = {"range": list(MANY_COLOURS if many else COLOURS)}
    if domain is not None:
        scale = {"domain": list(domain), "range": scale["range"][: len(domain)]}
    return {"field": field, "type": "nominal", "title": title or field, "scale": scale, "sort": None}


def way_colour() -> Spec:
    """The colour channel of baseline and fused attention."""
    return {"field": "attention", "type": "nominal", "title": "attention", "scale": WAY_COLOURS}


def quantity(field: str, title: str, *, log: bool = False, format: str = "~s") -> Spec:
    """A quantitative channel with its unit in `title`; a logarithmic axis never starts at 0."""
    scale: Spec = {"type": "log", "nice": False, "padding": 12} if log else {}
    return {
        "field": field, "type": "quantitative", "title": title, "scale": scale,
        "axis": {"format": format, "labelOverlap": True},
    }  # fmt: skip


def nominal(field: str, title: str | None = None) -> Spec:
    """A nominal axis in the order of the rows."""
    return {"field": field, "type": "nominal", "title": title, "sort": None}


def tooltip(columns: Sequence[Column], *keys: str) -> list[Spec]:
    """Tooltip lines of the columns `keys`, with their headings and units."""
    by_key = {column.key: column for column in columns}
    return [_line(by_key[key]) for key in keys]


def _line(column: Column) -> Spec:
    line: Spec = {"field": column.key, "title": f"{column.heading} ({column.unit})" if column.unit else column.heading}
    if "share" in column.key:
        line |= {"type": "quantitative", "format": ".1%"}
    elif column.unit:
        line |= {"type": "quantitative", "format": ".4~s"}
    return line


def facets(field: str, columns: int, spec: Spec, *, free: Sequence[str] = ()) -> Spec:
    """`spec` once a value of `field`, `columns` beside each other; scales `free` are each panel's own."""
    spec = {"width": 220, "height": 120, **spec}
    return {
        "facet": {"field": field, "type": "nominal", "title": None, "sort": None},
        "columns": columns,
        "spec": spec,
        "resolve": {"scale": dict.fromkeys(free, "independent")},
    }
