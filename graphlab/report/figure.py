"""A `Figure`: rows anyone can read, and a Vega-Lite chart of them."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias
from unicodedata import category

from graphlab.errors import GraphlabError
from graphlab.report.decoding import SIGNED

Value: TypeAlias = str | int | float | bool | None

_UNDRAWN = ("Cc", "Cs", "Zl", "Zp")
"""Unicode's categories of control characters, lone surrogates, and separators of lines and paragraphs."""

_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks that change the direction of what follows: a name with one would turn its neighbours around."""

_NO_PAIRS = 0xFFFF
"""Above it a character is two of JavaScript's, which the drawing library tears apart where it shortens a label."""


def drawable(value: Any, most: int = sys.maxunicode) -> Any:
    """`value`, of JSON's types, with characters that cannot be drawn, that turn text around, or that are above `most`,
    written as their escapes.

    Names may hold anything, and Vega writes those of panels into expressions, which a line separator breaks.
    """
    if isinstance(value, str):
        return value if value.isascii() and value.isprintable() else "".join(_drawn(c, most) for c in value)
    if isinstance(value, Mapping):
        return {key: drawable(inner, most) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [drawable(inner, most) for inner in value]
    return value


def _drawn(character: str, most: int) -> str:
    plain = category(character) not in _UNDRAWN and character not in _TURNING and ord(character) <= most
    return character if plain else ascii(character)[1:-1]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a figure's table: its key in the rows, a heading, the base unit of its numbers and what it is.

    `unit` is "s", "FLOP", "B", "" (a count or a share), ...; "estimate" columns are predicted, never measured.
    """

    key: str
    heading: str
    unit: str = ""
    help: str = ""
    estimate: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure as data and as a picture.

    `rows` map column keys to values in base units. `chart` is a Vega-Lite specification without its data, None where
    there is nothing to draw; `notes` say what the figure rests on, or why it is empty.
    """

    name: str
    title: str
    caption: str
    columns: tuple[Column, ...]
    rows: Annotated[tuple[Mapping[str, Value], ...], SIGNED]
    chart: Mapping[str, Any] | None
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The figure as `--json` prints it."""
        return {
            "name": self.name,
            "title": self.title,
            "caption": self.caption,
            "columns": [
                {"key": c.key, "heading": c.heading, "unit": c.unit, "help": c.help, "estimate": c.estimate}
                for c in self.columns
            ],
            "rows": [dict(row) for row in self.rows],
            "chart": dict(self.chart) if self.chart is not None else None,
            "notes": list(self.notes),
        }

    def to_csv(self) -> str:
        """The rows as CSV, keys as the header."""
        out = io.StringIO()
        writer = csv.DictWriter(out, [column.key for column in self.columns], lineterminator="\n")
        writer.writeheader()
        writer.writerows(dict(row) for row in self.rows)
        return out.getvalue()

    def vega_lite(self) -> dict[str, Any] | None:
        """The whole specification, data inside; None where there is nothing to draw."""
        if self.chart is None or not self.rows:
            return None
        return {
            "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
            "data": {"values": drawable(self.rows)},
            **drawable(self._ordered(self.chart)),
        }

    def _ordered(self, chart: Mapping[str, Any]) -> dict[str, Any]:
        """`chart`, panels that are not to be sorted in the order of the rows: Vega-Lite sorts them by name."""
        found = dict(chart)
        if "facet" in found:
            found["facet"] = self._panels(found["facet"])
        if "encoding" in found:
            sides = {
                name: self._panels(found["encoding"][name]) for name in ("row", "column") if name in found["encoding"]
            }
            found["encoding"] = {**found["encoding"], **sides}
        return found

    def _panels(self, channel: Mapping[str, Any]) -> dict[str, Any]:
        if channel.get("sort", "") is not None:
            return dict(channel)
        return {**channel, "sort": list(dict.fromkeys(row[channel["field"]] for row in self.rows))}

    def to_svg(self) -> str | None:
        """The picture as SVG, drawn without a browser; None where there is nothing to draw.

        GraphlabError for a chart that Vega-Lite cannot draw.
        """
        specification = self.vega_lite()
        if specification is None:
            return None
        import vl_convert

        try:
            drawn: str = vl_convert.vegalite_to_svg(drawable(specification, _NO_PAIRS))
        except ValueError as error:
            said = str(error).partition("\n")[0]
            raise GraphlabError(f"figure {self.name[:60]!r} cannot be drawn: {said[:200]}") from error
        return drawn
