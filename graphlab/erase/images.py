"""Images of prompts: one noise a seed, whatever is drawn beside it, so that two models can be compared pair by pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from graphlab.erase.denoiser import Denoiser
from graphlab.erase.errors import EraseError
from graphlab.erase.trajectory import Trajectory


@dataclass(frozen=True, slots=True)
class Sampling:
    """How images are drawn: deterministic `steps`, `guidance`, images of `shape` (channels, height, width), `together`
    at a time, which changes memory and not results beyond rounding."""

    shape: tuple[int, int, int]
    steps: int = 25
    guidance: float = 2.0
    together: int = 64


def seeded_noise(seeds: Sequence[int], shape: tuple[int, ...]) -> torch.Tensor:
    """Standard normal noise (seeds, *shape) float32; that of a seed does not depend on the others."""
    if not seeds:
        raise EraseError("there is no seed to draw noise of")
    return torch.stack([torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds])


def draw(
    denoiser: Denoiser,
    text: torch.Tensor,
    empty: torch.Tensor,
    seeds: Sequence[int],
    sampling: Sampling,
) -> torch.Tensor:
    """Images (seeds, channels, height, width) on the CPU, of `text` (seeds or 1, tokens, width).

    `empty` (1, tokens, width) is what guidance leads away from: the empty prompt, or, for negative prompting, the
    prompt that is not to show. EraseError for another number of texts than seeds.
    """
    if len(text) not in (1, len(seeds)):
        raise EraseError(f"{len(text)} prompts for {len(seeds)} seeds")
    path = Trajectory(denoiser, denoiser.schedule.levels(sampling.steps), sampling.guidance)
    noise = seeded_noise(seeds, sampling.shape)
    made = []
    for start in range(0, len(seeds), sampling.together):
        part = slice(start, start + sampling.together)
        given = text if len(text) == 1 else text[part]
        made.append(path.image(noise[part].to(text.device, text.dtype), given, empty).cpu())
    return torch.cat(made)
