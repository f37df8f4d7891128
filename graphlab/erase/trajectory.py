"""One deterministic path from noise to image, and where on it a concept is kept (early) or reversed (late).

Early means noisy: log SNR below the boundary t'. The boundary is a log SNR and nothing else; counting steps from one
end or the other is how published code came to train the wrong part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from graphlab.erase.denoiser import Denoiser
from graphlab.erase.errors import EraseError
from graphlab.erase.noise import CLEAN, Level, NoiseSchedule


@dataclass(frozen=True, slots=True)
class Boundary:
    """t' as a log SNR: -inf leaves nothing early, inf nothing late."""

    log_snr: float

    def is_early(self, level: Level) -> bool:
        """Whether `level` is so noisy that what is drawn there is kept."""
        return level.log_snr < self.log_snr

    def split(self, levels: Sequence[Level]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Indices of (early, late) levels."""
        early = tuple(index for index, level in enumerate(levels) if self.is_early(level))
        return early, tuple(index for index in range(len(levels)) if index not in set(early))


def boundary_of_step(step: int, schedule: NoiseSchedule, steps: int = 50) -> Boundary:
    """The boundary published as step `step` of `steps`, which count down to 1 as the image becomes clean.

    Steps above it are early. The log SNR lies half-way between the last early level and the first late one.
    """
    if not 0 <= step <= steps:
        raise EraseError(f"step {step} of {steps}")
    levels = schedule.levels(steps)
    if step == 0:
        return Boundary(float("inf"))
    if step == steps:
        return Boundary(float("-inf"))
    before, after = levels[steps - step - 1], levels[steps - step]
    return Boundary((before.log_snr + after.log_snr) / 2 if before.alpha else after.log_snr)


@dataclass(frozen=True, slots=True)
class Point:
    """A latent `x` (batch, channels, height, width) and the level it lies at: the very one a network is to be told."""

    x: torch.Tensor
    level: Level


@dataclass(frozen=True)
class Trajectory:
    """The path of `denoiser` over `levels`, guided by `guidance`."""

    denoiser: Denoiser
    levels: Sequence[Level]
    guidance: float = 1.0

    @torch.no_grad()
    def points(self, noise: torch.Tensor, text: torch.Tensor, empty: torch.Tensor) -> Iterator[Point]:
        """A point for every level, then the clean image, each made when it is asked for.

        `noise` (batch, channels, height, width) is drawn from a standard normal; a first level with signal in it
        starts from the noise alone all the same, as samplers do.
        """
        x = noise
        for level, following in zip(self.levels, [*self.levels[1:], CLEAN], strict=True):
            yield Point(x, level)
            output = self.denoiser.guided(x, level, text, empty, self.guidance)
            x = self.denoiser.step(output, x, level, following)
        yield Point(x, CLEAN)

    def image(self, noise: torch.Tensor, text: torch.Tensor, empty: torch.Tensor) -> torch.Tensor:
        """The clean end of the path."""
        for point in self.points(noise, text, empty):
            last = point
        return last.x

    def at(
        self, indices: Sequence[int], noise: torch.Tensor, text: torch.Tensor, empty: torch.Tensor
    ) -> dict[int, Point]:
        """{index: point} of some levels, all on one path, which is followed no further than the last of them."""
        wanted, found = set(indices), {}
        for index, point in enumerate(self.points(noise, text, empty)):
            if index in wanted:
                found[index] = point
            if len(found) == len(wanted):
                break
        return found
