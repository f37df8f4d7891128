"""Text has a contrast of at least 4.5 to what is behind it, light and dark: computed from the style sheet."""

from __future__ import annotations

import re

import pytest

from graphlab.figures.charts import MANY_COLOURS
from graphlab.report.html.assets import style

LEAST = 4.5
TEXTS = ("ink", "quiet", "accent", "gone", "new")
BEHIND = ("paper", "tint")


def schemes() -> dict[str, dict[str, str]]:
    """{scheme: {variable: colour}}; "chart" is a chart's own box in the dark."""
    blocks = re.findall(r"(:root|\.chart) \{([^{}]*--paper[^{}]*)\}", style())
    light, dark, chart = (dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", text)) for _, text in blocks)
    return {"light": light, "dark": {**light, **dark}, "chart": {**light, **dark, **chart}}


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def over(colour: str, paper: str, opacity: float) -> str:
    """`colour` at `opacity` on `paper`."""
    mixed = (
        round(opacity * int(colour[at : at + 2], 16) + (1 - opacity) * int(paper[at : at + 2], 16)) for at in (1, 3, 5)
    )
    return "#" + "".join(f"{part:02x}" for part in mixed)


def test_black_on_white_is_21() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") < LEAST


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("behind", BEHIND)
def test_text_stands_out(scheme: str, text: str, behind: str) -> None:
    colours = schemes()[scheme]
    assert contrast(colours[text], colours[behind]) >= LEAST


@pytest.mark.parametrize("behind", BEHIND)
def test_text_of_charts_stands_out_in_the_dark(behind: str) -> None:
    colours = schemes()["chart"]
    assert contrast(colours["ink"], colours[behind]) >= LEAST
    assert schemes()["dark"]["paper"] != colours["paper"]


@pytest.mark.parametrize("colour", MANY_COLOURS)
def test_names_on_boxes_stand_out(colour: str) -> None:
    for colours in (schemes()["light"], schemes()["chart"]):
        assert contrast(colours["ink"], over(colour, colours["paper"], 0.45)) >= LEAST
