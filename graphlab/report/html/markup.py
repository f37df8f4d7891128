"""Text made safe for the three places of a page it can end up in: markup, JSON blocks and identifiers."""

from __future__ import annotations

import html
import json
import re
from typing import Any

_NOT_SLUG = re.compile(r"[^a-z0-9]+")


def escape(text: str) -> str:
    """`text` for markup and quoted attributes; a lone surrogate, which UTF-8 cannot hold, becomes "?"."""
    return html.escape(text.encode("utf-8", "replace").decode("utf-8"), quote=True)


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
