"""The charts of a saved report: drawn only where they are made of what graphlab's own charts are made of.

A Vega-Lite specification can name files and addresses to read, links to follow and expressions to work out, and a
report may come from a stranger.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from graphlab.report.decoding import ReportFileError

KEYS = frozenset({
    "align", "as", "axis", "base", "bind", "calculate", "color", "column", "columns", "condition", "description",
    "domain", "dx", "encoding", "facet", "field", "fields", "filled", "filter", "fold", "fontSize", "format", "header",
    "height", "hconcat", "interpolate", "labelAlign", "labelAngle", "labelLimit", "labelOverlap", "labels", "layer",
    "legend", "mark", "name", "nice", "opacity", "padding", "param", "params", "point", "range", "resolve", "row",
    "scale", "scheme", "select", "shape", "size", "sort", "spec", "step", "stroke", "strokeDash", "strokeWidth", "test",
    "text", "title", "tooltip", "transform", "type", "value", "width", "x", "x2", "xOffset", "y", "y2", "yOffset",
})  # fmt: skip
"""Every key of a chart of `graphlab.figures`."""

TYPES = frozenset({
    "area", "bar", "circle", "line", "linear", "log", "nominal", "ordinal", "point", "quantitative", "rect", "rule",
    "sqrt", "square", "text", "tick",
})  # fmt: skip
"""What a mark, a channel, a scale or a selection can be: no images, whose pixels are elsewhere."""

OBJECTS = ("encoding", "facet", "row", "column", "spec", "resolve")
LISTS = ("layer", "hconcat", "params", "transform")
"""What is an object, or a list of objects, wherever it stands."""

EXPRESSIONS = ("calculate", "filter", "test")
MOST, DEEPEST = 10_000, 24
"""The largest number of pixels, columns or steps, and the most levels of a chart."""

_VALUES = ("domain", "value")
"""Where numbers are the data's own."""
_EXPRESSION = re.compile(r"(?:datum\.\w++|isValid|null|'[^'\\]*+'|[-+*/<>=!&|?:(), \d.])++")
_FORMAT = re.compile(r"[+~,]?(?:\.\d)?~?[a-z%]?")


def check_chart(chart: Mapping[str, Any] | None, where: str) -> None:
    """ReportFileError where `chart`, at the path `where` of its file, holds what no chart of graphlab does."""
    if chart is not None:
        _check(dict(chart), where, "", 0)


def _check(value: Any, where: str, key: str, depth: int) -> None:
    if depth > DEEPEST:
        raise _foreign(where, f"is nested more than {DEEPEST} deep")
    if key in OBJECTS and not isinstance(value, dict):
        raise _foreign(where, "is no object")
    if key in LISTS and not (isinstance(value, list) and all(isinstance(item, dict) for item in value)):
        raise _foreign(where, "is no list of objects")
    if isinstance(value, dict):
        for name, item in value.items():
            if name not in KEYS:
                raise _foreign(f"{where}.{name[:60]}", "is no part of such a chart")
            _check(item, f"{where}.{name[:60]}", name, depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check(item, f"{where}[{index}]", "" if key in LISTS else key, depth + 1)
    elif isinstance(value, str):
        _check_text(value, where, key)
    elif isinstance(value, (int, float)) and key not in _VALUES and abs(value) > MOST:
        raise _foreign(where, f"is {value:g}, expected at most {MOST:,}")


def _check_text(value: str, where: str, key: str) -> None:
    if key in EXPRESSIONS and not _EXPRESSION.fullmatch(value):
        raise _foreign(where, f"is {value[:60]!r}, which is more than a comparison or a sum of columns")
    if key in ("type", "mark") and value not in TYPES:
        raise _foreign(where, f"is {value[:60]!r}, expected one of {', '.join(sorted(TYPES))}")
    if key == "format" and not _FORMAT.fullmatch(value):
        raise _foreign(where, f"is {value[:60]!r}, which is no format of a number")


def _foreign(where: str, what: str) -> ReportFileError:
    return ReportFileError(f"{where} {what}", hint="charts are drawn as `graphlab characterize --json` writes them")
