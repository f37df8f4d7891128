"""What the page's script reads of a figure: its columns, its rows as lists, its chart made to fit the page."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

from graphlab.errors import GraphlabError
from graphlab.report.figure import Column, Figure, Value, drawable

DIGITS = 7
KINDS = ("baseline", "fused")
SHOWN = "attention_shown"
_COMPOSED = ("facet", "repeat", "concat", "hconcat", "vconcat")


def payload(figure: Figure) -> dict[str, Any]:
    """The figure as JSON-ready data. Floats keep seven significant digits; integers stay as they are.

    `sizing` says how the chart follows the page's width: "container" (Vega does it), "child" (facets under one
    another), "wrap" (facets in rows: the script sets how many and how wide), "grid" (facets in fixed columns), "side"
    (views beside each other, narrowed by what does not fit), or "natural" (the box scrolls).
    """
    sizing, chart = _sized(figure)
    return {
        "name": figure.name,
        "columns": [{"key": c.key, "unit": shown_unit(c), "number": is_number(figure, c)} for c in figure.columns],
        "rows": rounded_rows(figure),
        "attention": attention_index(figure),
        "sizing": sizing,
        "chart": chart,
    }


def rounded_rows(figure: Figure) -> list[list[Value]]:
    """Rows as lists in column order. GraphlabError names the row and column of a number that is not finite."""
    keys = [column.key for column in figure.columns]
    return [[_rounded(figure, number, key, row.get(key)) for key in keys] for number, row in enumerate(figure.rows)]


def _rounded(figure: Figure, number: int, key: str, value: Value) -> Value:
    if not isinstance(value, float):
        return drawable(value)  # type: ignore[no-any-return]  # as text or number as it came
    if not math.isfinite(value):
        raise GraphlabError(
            f"figure {figure.name!r}, row {number}, column {key!r}: {value} is not a finite number",
            hint="unknown values of a figure are None",
        )
    return float(f"{value:.{DIGITS}g}") + 0.0  # -0.0 + 0.0 is 0.0


def shown_unit(column: Column) -> str:
    """The unit cells are written in: the column's own, or "share" (of one, in percent) for a key that says so."""
    return column.unit or ("share" if "share" in column.key.split("_") else "")


def is_number(figure: Figure, column: Column) -> bool:
    """Whether the column holds a number, and so is aligned to the right."""
    values = [row.get(column.key) for row in figure.rows]
    return any(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def attention_index(figure: Figure) -> int | None:
    """The place of the column "attention" where its rows hold both baseline and fused; else None."""
    keys = [column.key for column in figure.columns]
    if "attention" not in keys or not set(KINDS) <= {row.get("attention") for row in figure.rows}:
        return None
    return keys.index("attention")


def description(figure: Figure) -> str:
    """What the chart shows, for a reader who cannot see it."""
    own = (figure.chart or {}).get("description")
    return own if isinstance(own, str) else f"{figure.title}. {figure.caption}"


def _sized(figure: Figure) -> tuple[str, dict[str, Any] | None]:
    whole = figure.vega_lite()
    if whole is None:
        return "natural", None
    # The schema's version is the bundle's, and its address would be the page's only link to elsewhere.
    chart = {key: copy.deepcopy(value) for key, value in whole.items() if key not in ("$schema", "data")}
    chart["description"] = description(figure)
    if attention_index(figure) is not None:
        _add_filter(chart)
    sizing = _sizing(chart)
    if sizing == "container":
        chart |= {"width": "container", "autosize": {"type": "fit-x", "contains": "padding"}}
    return sizing, chart


def _add_filter(chart: dict[str, Any]) -> None:
    """Rows of the kind that is not chosen leave the chart; rows of neither kind stay."""
    other = f"datum.attention === ({SHOWN} === 'baseline' ? 'fused' : 'baseline')"
    chart["params"] = [{"name": SHOWN, "value": ""}, *chart.get("params", ())]
    chart["transform"] = [{"filter": f"!{SHOWN} || !({other})"}, *chart.get("transform", ())]


def _sizing(chart: Mapping[str, Any]) -> str:
    inner = chart.get("spec", chart)
    if isinstance(inner.get("width"), Mapping):  # a step a bar: as wide as it has bars
        return "natural"
    if "hconcat" in chart:
        return "side" if all(isinstance(view.get("width"), int) for view in chart["hconcat"]) else "natural"
    encoding = chart.get("encoding", {})
    facet = chart.get("facet", {})
    if "field" in facet and "columns" in chart and isinstance(inner.get("width"), int):
        return "wrap"
    if "facet" in encoding or "field" in facet:
        return "natural"
    if "column" in encoding or "column" in facet:
        return "grid" if _is_continuous(inner) else "natural"
    if "row" in encoding or "row" in facet:
        return "child"
    return "natural" if any(key in chart for key in _COMPOSED) else "container"


def _is_continuous(view: Mapping[str, Any]) -> bool:
    """Whether the width of `view` is a number that the script may change, rather than a step a value of x."""
    x = view.get("encoding", {}).get("x", {})
    return isinstance(view.get("width"), int) or x.get("type") == "quantitative"
