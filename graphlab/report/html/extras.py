"""Listings and pictures as markup."""

from __future__ import annotations

import base64

from graphlab.report.html.document import Listing, Picture
from graphlab.report.html.markup import escape, title_of

_TAGS = {"-": "del", "+": "ins"}
_KINDS = {"@": "where", "#": "why"}


def listing_block(listing: Listing, over: str = "") -> str:
    """The lines in a box that scrolls; of a diff, what is gone and what is new says so without its colour too."""
    title = escape(listing.title)
    lines = "\n".join(_diff_line(line) if listing.diff else escape(line) for line in listing.lines)
    note = f'<p class="note">{escape(listing.note)}</p>' if listing.note else ""
    return f"""<div class="plain listing">{title_of(listing.title, over)}
<pre class="scroll" tabindex="0" role="region" aria-label="Text. {title}">{lines}</pre>{note}</div>"""


def _diff_line(line: str) -> str:
    text = escape(line)
    if line[:1] in _TAGS:
        tag = _TAGS[line[0]]
        return f"<{tag}>{text}</{tag}>"
    kind = _KINDS.get(line[:1])
    return f'<span class="{kind}">{text}</span>' if kind else text


def picture_block(picture: Picture, over: str = "") -> str:
    """The image, inside the page."""
    data = base64.b64encode(picture.png).decode("ascii")
    note = f'<p class="note">{escape(picture.note)}</p>' if picture.note else ""
    return f"""<div class="plain picture">{title_of(picture.title, over)}
<img alt="{escape(picture.alt)}" src="data:image/png;base64,{data}">{note}</div>"""
