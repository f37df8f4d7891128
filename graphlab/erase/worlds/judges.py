"""Judges: what an image shows, or that it shows nothing they know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.metrics.accuracy import ABSTAINED, Share
from graphlab.erase.worlds.corruption import Corrupted, corrupted
from graphlab.erase.worlds.world import Labelled, World

KEPT = 0.99
"""Share of real images that a threshold lets pass."""
REAL_NOISE = 0.05
"""Standard deviation of noise on images that still count as real: about what a sampler leaves behind."""


class Judge(Protocol):
    """Labels of images, from pixels alone."""

    @property
    def name(self) -> str:
        """How it is called in tables."""
        ...

    @property
    def world(self) -> World:
        """The world it knows."""
        ...

    def labels(self, images: torch.Tensor) -> torch.Tensor:
        """Labels (images, attributes) of `images` (images, channels, height, width); ABSTAINED where none fits."""
        ...


@dataclass(frozen=True, slots=True)
class Threshold:
    """What is above `value` is refused: `kept` of the real images are not, `refused` of the corrupted ones are."""

    value: float
    kept: float
    refused: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """Images thresholds are set on: `real` ones with a little noise, and `spoilt` ones of every kind."""

    real: Labelled
    spoilt: tuple[Corrupted, ...]

    def spoilt_in(self, attribute: int) -> torch.Tensor:
        """All images (images, channels, height, width) whose attribute at that position can no longer be told."""
        return torch.cat([part.images[part.labels[:, attribute] == ABSTAINED] for part in self.spoilt])


def evidence(world: World, *, count: int = 1000, seed: int = 0) -> Evidence:
    """Real images of the calibration part with noise of REAL_NOISE, and a fifth as many of each corruption."""
    generator = torch.Generator().manual_seed(seed)
    real = world.sample(count, generator, "calibration")
    noisy = real.images + REAL_NOISE * torch.randn(real.images.shape, generator=generator)
    return Evidence(Labelled(noisy, real.labels), corrupted(world, count // 5, generator, "calibration"))


def threshold(real: torch.Tensor, spoilt: torch.Tensor) -> Threshold:
    """The threshold on scores (images,), 0 and more, that are large where an image is strange.

    KEPT of the real ones lie below it. Where 95 % of the spoilt ones lie higher still, it is half-way between both
    bounds, so that images a little worse than real ones pass. EraseError for scores that say nothing: less than half
    of the spoilt images refused.
    """
    low = float(torch.quantile(real.double(), KEPT))
    high = float(torch.quantile(spoilt.double(), 0.05))
    value = (low + high) / 2 if high > low else low
    found = Threshold(value, _share(real <= value), _share(spoilt > value))
    if found.refused < 0.5:
        raise EraseError(f"a threshold that refuses {found.refused:.0%} of the corrupted images tells nothing")
    return found


def agreement(judge: Judge, shown: Labelled) -> tuple[Share, ...]:
    """The share of images labelled right, for each attribute; abstaining is not right."""
    right = judge.labels(shown.images) == shown.labels
    return tuple(Share(int(column.sum()), len(column)) for column in right.unbind(1))


def refusals(judge: Judge, spoilt: Sequence[Corrupted], attribute: int) -> dict[str, Share]:
    """{kind of corruption: share of the images refused}, of those that spoil the attribute at that position."""
    found = {}
    for part in spoilt:
        rows = part.labels[:, attribute] == ABSTAINED
        if rows.any():
            labels = judge.labels(part.images[rows])[:, attribute]
            found[part.kind] = Share(int((labels == ABSTAINED).sum()), len(labels))
    return found


def check_images(images: torch.Tensor, world: World) -> None:
    """EraseError for images of another shape than the world's, none, and such that are not finite."""
    if images.ndim != 4 or tuple(images.shape[1:]) != world.shape or len(images) == 0:
        raise EraseError(f"images {tuple(images.shape)}", hint=f"expected (images, {', '.join(map(str, world.shape))})")
    if not torch.isfinite(images).all():
        raise EraseError("there are images that are not finite")


def _share(hits: torch.Tensor) -> float:
    return float(hits.double().mean())
