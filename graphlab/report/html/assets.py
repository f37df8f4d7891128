"""The files that go into every page: the style sheet, the script, and the plotting library."""

from __future__ import annotations

import base64
import functools
import re
from importlib import resources

from graphlab.report.figure import Figure

_TAG = re.compile(r"<[^>]*>")
_ARIA = re.compile(r' (?:role|aria-[a-z]+)="[^"]*"')
_DECIMALS = re.compile(r"(\.\d\d)\d+")


def style() -> str:
    """The style sheet."""
    return (resources.files(__package__) / "style.css").read_text(encoding="utf-8")


def script() -> str:
    """The page's own script, an ES module."""
    return _inside_script((resources.files(__package__) / "app.js").read_text(encoding="utf-8"))


@functools.cache
def plotting_library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one ES module that sets `window.vegaEmbed`; about 900 kB."""
    import vl_convert

    bundle: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return _inside_script(bundle)


def still_picture(figure: Figure) -> str | None:
    """The chart as an SVG data URI for readers without scripts; None where there is nothing to draw.

    An image, not inline SVG: nothing in it can run or end an element. Accessibility attributes go, since an image shows
    only its alternative text, and coordinates keep a hundredth of a pixel.
    """
    drawn = figure.to_svg()
    if drawn is None:
        return None
    small = _TAG.sub(lambda tag: _DECIMALS.sub(r"\1", _ARIA.sub("", tag.group())), drawn)
    return "data:image/svg+xml;base64," + base64.b64encode(small.encode("utf-8", "replace")).decode("ascii")


def _inside_script(code: str) -> str:
    """`code` without the one sequence that would end its element; inside strings and patterns "\\/" is "/"."""
    return code.replace("</script", "<\\/script")
