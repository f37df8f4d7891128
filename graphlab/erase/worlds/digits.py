"""The digits world: scikit-learn's handwritten digits, 8 x 8, in a fixed split."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.worlds.world import Attribute, Labelled, Part

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SPLIT_SEED = 0
CALIBRATION, HELD_OUT = 250, 350
"""Images of these parts; the other 1,197 are for training."""


@dataclass(frozen=True, slots=True)
class DigitsWorld:
    """The world of one attribute, the digit."""

    @property
    def name(self) -> str:
        """Its name in files and commands."""
        return "digits"

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of its images."""
        return (1, 8, 8)

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        """digit (10)."""
        return (Attribute("digit", NAMES),)

    def sample(self, count: int, generator: torch.Generator, part: Part = "train") -> Labelled:
        """`count` images of a part, drawn with replacement by `generator`."""
        real = digits(part)
        chosen = torch.randint(len(real.labels), (count,), generator=generator)
        return Labelled(real.images[chosen], real.labels[chosen])

    def combinations(self, part: Part) -> torch.Tensor:
        """Labels (10, 1): every digit is in every part."""
        if part not in ("train", "calibration", "held_out"):
            raise EraseError(f"there is no part {part!r}")
        return torch.arange(len(NAMES))[:, None]


@functools.cache
def digits(part: Part) -> Labelled:
    """All images of a part: `images` (images, 1, 8, 8) float32 in [-1, 1], `labels` (images, 1).

    The 1,797 images in an order drawn from SPLIT_SEED: the last HELD_OUT are held out, CALIBRATION before them set
    thresholds, the rest trains. EraseError without scikit-learn.
    """
    images, labels = _loaded()
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(SPLIT_SEED))
    train = len(labels) - CALIBRATION - HELD_OUT
    parts = dict(
        zip(("train", "calibration", "held_out"), torch.split(order, [train, CALIBRATION, HELD_OUT]), strict=True)
    )
    if part not in parts:
        raise EraseError(f"there is no part {part!r}", hint=f"known: {', '.join(parts)}")
    return Labelled(images[parts[part]], labels[parts[part]])


def _loaded() -> tuple[torch.Tensor, torch.Tensor]:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise EraseError("the digits come with scikit-learn", hint="pip install 'graphlab[erase]'") from error
    found = load_digits()
    images = torch.from_numpy(found.images).float()[:, None] / 8 - 1
    return images, torch.from_numpy(found.target).long()[:, None]


def jittered(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Digits (images, 1, 8, 8) turned by up to 6 degrees, moved by up to a fifth of a pixel, and 5 % larger or smaller.

    What a judge is taught with, so that it does not learn 1,197 images by heart; values stay in [-1, 1].
    """
    angle, size, *move = (2 * torch.rand(4, len(images), generator=generator) - 1).unbind(0)
    angle, size, (across, down) = 0.1 * angle, 1 + 0.05 * size, (part / 20 for part in move)
    rows = (
        torch.stack([size * angle.cos(), -size * angle.sin(), across], 1),
        torch.stack([size * angle.sin(), size * angle.cos(), down], 1),
    )
    grid = torch.nn.functional.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    return torch.nn.functional.grid_sample(images + 1, grid, align_corners=False) - 1
