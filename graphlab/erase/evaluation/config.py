"""How much is drawn, and how, to say what erasing did."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import isfinite

from graphlab.erase.errors import EraseError
from graphlab.erase.images import Sampling
from graphlab.erase.metrics.accuracy import LEAST_IMAGES
from graphlab.erase.worlds.gate import GUIDANCE, STEPS

EDGES = (-4.0, -2.25, -0.5, 1.25, 3.0)
"""log SNRs between which drift is averaged: the levels bases are trained at, in four."""
MOST_SEED = 2**62
"""The largest first seed: others are counted on from it, and torch takes none of 2**63 or more."""


def check_images(seed: int, guidance: float) -> None:
    """EraseError for a first seed, or a guidance, that no image can be drawn with."""
    if not 0 <= seed <= MOST_SEED:
        raise EraseError(f"seed is {seed}, expected 0 to {MOST_SEED}")
    if not isfinite(guidance):
        raise EraseError(f"guidance is {guidance}, expected a finite number")


@dataclass(frozen=True, slots=True)
class EvaluationConfig:
    """`images` of the concept by phrases that erasing was shown, and as many by phrases it never was (0: none of
    those), and `kept_images` of each class that is kept; drawn in `steps` with `guidance`, from the seeds `seed` on.

    `drift_images` real images in each of the bins between `edges` (log SNR) say how far predictions moved; the kernel
    distance is held against at most `real_images` real ones, its interval is made of `bootstrap` draws. `together`
    images are drawn at a time, which changes memory and not results beyond rounding.
    """

    images: int = LEAST_IMAGES
    unseen_images: int = LEAST_IMAGES
    kept_images: int = LEAST_IMAGES
    steps: int = STEPS
    guidance: float = GUIDANCE
    seed: int = 0
    edges: tuple[float, ...] = EDGES
    drift_images: int = 64
    real_images: int = 1024
    bootstrap: int = 1000
    together: int = 64

    def __post_init__(self) -> None:
        for name in ("images", "kept_images", "steps", "drift_images", "bootstrap", "together"):
            if getattr(self, name) < 1:
                raise EraseError(f"{name} is {getattr(self, name)}, expected 1 or more")
        if self.unseen_images < 0 or self.real_images < 2:
            raise EraseError("unseen_images are 0 or more, real_images 2 or more")
        check_images(self.seed, self.guidance)
        if len(self.edges) < 2 or any(later <= earlier for earlier, later in pairwise(self.edges)):
            raise EraseError("edges of bins rise, and there are two at least")

    def sampling(self, shape: tuple[int, int, int]) -> Sampling:
        """How images of `shape` (channels, height, width) are drawn."""
        return Sampling(shape, self.steps, self.guidance, self.together)
