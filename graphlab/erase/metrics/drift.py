"""How much predictions moved that were to stay, by noise level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import torch

from graphlab.erase.denoiser import Denoiser
from graphlab.erase.errors import EraseError
from graphlab.report.decoding import SIGNED


@dataclass(frozen=True, slots=True)
class DriftBin:
    """Levels with `low` <= log SNR < `high`: the mean of |eps - eps*|^2 over pixels and `count` latents."""

    low: Annotated[float, SIGNED]
    high: Annotated[float, SIGNED]
    drift: float
    count: int


@torch.no_grad()
def drift(
    model: Denoiser,
    base: Denoiser,
    images: torch.Tensor,
    text: torch.Tensor,
    edges: Sequence[float],
    *,
    levels: int = 4,
    seed: int = 0,
) -> tuple[DriftBin, ...]:
    """E |eps(x, t, text) - eps*(x, t, text)|^2 in each bin between `edges` (rising log SNRs), mean over pixels.

    x = alpha x0 + sigma eps for `images` (images, channels, height, width) at `levels` evenly spaced levels a bin;
    noise is the same for all. With `text` the empty prompt it is the unconditional drift, with a kept concept's that
    of the concept. A bin's mean is over `levels` x images latents: take 64 images and more. No threshold: 0 is an
    unchanged model, and E |eps|^2 = 1 the scale.
    """
    if list(edges) != sorted(set(edges)) or len(edges) < 2:
        raise EraseError("edges of bins rise, and there are two at least")
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(seed), dtype=images.dtype)
    found = []
    for low, high in pairwise(edges):
        moved = 0.0
        for index in range(levels):
            level = base.schedule.at(low + (index + 0.5) * (high - low) / levels)
            x = level.alpha * images + level.sigma * noise
            change = model.noise(x, level, text) - base.noise(x, level, text)
            moved += float(change.double().square().mean()) / levels
        found.append(DriftBin(low, high, moved, levels * len(images)))
    return tuple(found)
