"""Text made safe for the three places of a page it can end up in: markup, JSON blocks and identifiers."""

from __future__ import annotations

import html
import json
import re
from typing import Any

from graphlab.report.figure import drawable

_NOT_SLUG = re.compile(r"[^a-z0-9]+")


_KEPT = "\n\t"
"""Control characters that a page shows as space."""


def escape(text: str) -> str:
    """`text` for markup and quoted attributes, characters that are not drawn, or turn the text around, as escapes."""
    plain = "".join(c if c in _KEPT else drawable(c) for c in text) if not text.isprintable() else text
    return html.escape(plain, quote=True)


def title_of(title: str, over: str, identifier: str = "") -> str:
    """The heading of a block below one that says `over`: read out and linked to, but not shown a second time."""
    known = f' id="{escape(identifier)}"' if identifier else ""
    return f"<h3{known}{' class=away' * (title == over)}>{escape(title)}</h3>"


def caption_of(title: str) -> str:
    """The caption of a table below a heading that shows the same `title`: it is read out, as the table's name."""
    return f'<caption class="away">{escape(title)}</caption>'


def json_block(identifier: str, value: Any) -> str:
    """A script element holding `value` as JSON; no "<" is left in it, so nothing can end the element early.

    NaN and infinity raise ValueError: JSON has no spelling for them.
    """
    text = json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return f'<script type="application/json" id="{escape(identifier)}">{text}</script>'


def slugs(names: list[str]) -> list[str]:
    """One identifier a name, of lower-case letters, digits and dashes; a second use of one gets a number."""
    found: list[str] = []
    for name in names:
        base = _NOT_SLUG.sub("-", name.lower()).strip("-") or "figure"
        slug, number = base, 2
        while slug in found:
            slug, number = f"{base}-{number}", number + 1
        found.append(slug)
    return found
