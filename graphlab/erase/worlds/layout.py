"""The layout world: a half-plane shading over the whole field, a palette, and a small glyph, 16 x 16 RGB.

A shading is high in contrast and low in frequency, so its hundreds of pixels tell it apart in noise in which the few
pixels of a glyph say nothing: layout is decided early on a trajectory and the glyph late (`worlds.posterior` has the
exact curves). Every image is one of finitely many templates: a combination of the attributes, one of nine offsets of
the glyph and one of three brightnesses. That makes posteriors and the likelihood decoder exact.

image = GROUND + PALETTE_CONTRAST colour + LAYOUT_CONTRAST shading + GLYPH_CONTRAST glyph + BRIGHTNESS step
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.worlds.glyphs import GLYPHS, bitmaps
from graphlab.erase.worlds.world import Attribute, Labelled, Part

SIZE = 16
GROUND = -0.1
LAYOUT_CONTRAST = 0.30
PALETTE_CONTRAST = 0.22
GLYPH_CONTRAST = 0.50
BRIGHTNESS = 0.05
OFFSETS = tuple((row, column) for row in (-1, 0, 1) for column in (-1, 0, 1))
"""Where a glyph may lie, in pixels from the middle."""
STEPS = (-1, 0, 1)
"""Brightnesses, in units of BRIGHTNESS."""
LAYOUTS = ("left", "right", "above", "below")
"""The side the light comes from."""
COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (1.0, -0.5, -0.5),
    "green": (-0.5, 1.0, -0.5),
    "blue": (-0.5, -0.5, 1.0),
    "teal": (-1.0, 0.5, 0.5),
    "plum": (0.5, -1.0, 0.5),
    "gold": (0.5, 0.5, -1.0),
}
CORNER = (SIZE - 5) // 2
"""Row and column at which a glyph without offset begins."""


@dataclass(frozen=True, slots=True)
class Templates:
    """All images there are: `images` (templates, 3, 16, 16), their `labels` (templates, 3)."""

    images: torch.Tensor
    labels: torch.Tensor


@dataclass(frozen=True, slots=True)
class LayoutWorld:
    """The world of layout x palette x glyph; a fifth of the 240 combinations is held out of training."""

    @property
    def name(self) -> str:
        """Its name in files and commands."""
        return "layout"

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of its images."""
        return (3, SIZE, SIZE)

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        """layout (4), palette (6), glyph (10)."""
        return (
            Attribute("layout", LAYOUTS),
            Attribute("palette", tuple(COLOURS)),
            Attribute("glyph", tuple(GLYPHS)),
        )

    def sample(self, count: int, generator: torch.Generator, part: Part = "train") -> Labelled:
        """`count` images of the combinations of a part, with their jitter, drawn by `generator`."""
        rows = self.combinations(part)
        labels = rows[torch.randint(len(rows), (count,), generator=generator)]
        return Labelled(self.draw(labels, generator), labels)

    def combinations(self, part: Part) -> torch.Tensor:
        """Labels (combinations, 3): 192 in training, the other 48 held out; judges are calibrated on all 240."""
        rows = torch.cartesian_prod(torch.arange(4), torch.arange(6), torch.arange(10))
        if part == "calibration":
            return rows
        held_out = is_held_out(rows)
        return rows[held_out if part == "held_out" else ~held_out]

    def draw(self, labels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Images (images, 3, 16, 16) of `labels` (images, 3), their jitter drawn by `generator`."""
        offsets = torch.randint(len(OFFSETS), (len(labels),), generator=generator)
        steps = torch.randint(len(STEPS), (len(labels),), generator=generator)
        return render(labels, offsets, steps)


def is_held_out(labels: torch.Tensor) -> torch.Tensor:
    """Whether each row of `labels` (rows, 3) is a combination that training never shows; every pair of classes is."""
    return (labels[:, 0] + 2 * labels[:, 1] + labels[:, 2]) % 5 == 0


def render(labels: torch.Tensor, offsets: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
    """Images (images, 3, 16, 16) float32 of `labels` (images, 3).

    `offsets` (images,) are positions in OFFSETS, `steps` (images,) in STEPS. EraseError for a label out of range.
    """
    _check(labels, offsets, steps)
    return render_marks(labels, placed()[labels[:, 2], offsets], steps)


def render_marks(labels: torch.Tensor, marks: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
    """Images (images, 3, 16, 16) with the layout and palette of `labels` and any `marks` (images, 16, 16) in [0, 1]."""
    bright = BRIGHTNESS * torch.tensor(STEPS, dtype=torch.float32)[steps]
    colour = PALETTE_CONTRAST * torch.tensor(list(COLOURS.values()))[labels[:, 1]]
    plane = GROUND + LAYOUT_CONTRAST * shadings()[labels[:, 0]] + GLYPH_CONTRAST * marks
    return colour[:, :, None, None] + plane[:, None] + bright[:, None, None, None]


@functools.cache
def templates() -> Templates:
    """Every image of the world: 240 combinations x 9 offsets x 3 brightnesses."""
    parts = (torch.arange(count) for count in (len(LAYOUTS), len(COLOURS), len(GLYPHS), len(OFFSETS), len(STEPS)))
    rows = torch.cartesian_prod(*parts)
    return Templates(render(rows[:, :3], rows[:, 3], rows[:, 4]), rows[:, :3])


@functools.cache
def shadings() -> torch.Tensor:
    """Shadings (layouts, 16, 16) in [-1, 1]: light on one half of the field, with an edge of about two pixels."""
    ramp = torch.tanh(torch.arange(SIZE) - (SIZE - 1) / 2)
    across = ramp.expand(SIZE, SIZE)
    return torch.stack([-across, across, -across.T, across.T])


@functools.cache
def placed() -> torch.Tensor:
    """Glyphs (glyphs, offsets, 16, 16) of 0 and 1."""
    made = torch.zeros(len(GLYPHS), len(OFFSETS), SIZE, SIZE)
    for index, (row, column) in enumerate(OFFSETS):
        top, left = CORNER + row, CORNER + column
        made[:, index, top : top + 5, left : left + 5] = bitmaps()
    return made


def _check(labels: torch.Tensor, offsets: torch.Tensor, steps: torch.Tensor) -> None:
    if labels.ndim != 2 or labels.shape[1] != 3 or len(labels) != len(offsets) or len(labels) != len(steps):
        raise EraseError(f"labels {tuple(labels.shape)} are no (images, 3), one offset and brightness each")
    limits = torch.tensor([len(LAYOUTS), len(COLOURS), len(GLYPHS)])
    if ((labels < 0) | (labels >= limits)).any():
        raise EraseError("a label is out of the range of its attribute", hint=f"classes: {limits.tolist()}")
