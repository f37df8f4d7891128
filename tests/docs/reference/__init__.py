"""The pages of docs/ that are written from the code. `python -m tests.docs.reference` rewrites them."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

DOCS = Path(__file__).parents[3] / "docs"
WRITTEN = "<!-- written by python -m tests.docs.reference -->"
"""First line of a page that is written as a whole."""


def cell(text: str) -> str:
    """`text` as a cell of a Markdown table: one line, bars escaped."""
    return " ".join(text.split()).replace("|", "\\|")


def table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """A Markdown table, a line a row."""
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    return [*lines, *(f"| {' | '.join(map(cell, row))} |" for row in rows)]


def code(text: str) -> str:
    """`text` as a code span, empty for none."""
    return f"`{text}`" if text else ""


def prose(docstring: str) -> str:
    """A docstring as Markdown: `NAME` spans stay; what Markdown would read as a tag or as emphasis does not."""
    spans = re.split(r"(`[^`]*`)", docstring)
    marks = re.compile(r"<|\*(?! )|(?<!\w)_|_(?!\w)")
    return "".join(span if span.startswith("`") else marks.sub(r"\\\g<0>", span) for span in spans)


def paragraph(text: str) -> list[str]:
    """`text` as lines of a page."""
    return textwrap.wrap(text, 118, break_long_words=False, break_on_hyphens=False)
