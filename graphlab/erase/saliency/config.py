"""What a saliency mask is made of: where gradients are taken, how they are scored, ranked and combined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any, Literal

from graphlab.erase.errors import EraseError
from graphlab.erase.noise import NoiseSchedule
from graphlab.erase.objective import Ablation, Objective
from graphlab.erase.sampling import PointSampler
from graphlab.erase.training.parameters import chosen
from graphlab.erase.training.strict import read
from graphlab.erase.trajectory import Boundary

Score = Literal["abs_sum", "sum_abs", "sum_square"]
Ranking = Literal["tensor", "global"]
Keep = Literal["top", "bottom"]
Combine = Literal["intersection", "union", "vote"]


@dataclass(frozen=True, slots=True)
class Stepping:
    """The released defect as an ablation: Adam at `rate` steps after every gradient, of the whole objective, on a copy
    that is thrown away after each map."""

    rate: float = 1e-2

    def __post_init__(self) -> None:
        if not (isfinite(self.rate) and self.rate > 0):
            raise EraseError(f"rate is {self.rate}, expected more than 0")


@dataclass(frozen=True, slots=True)
class SaliencyConfig:
    """A map a prompt and seed: gradients at `draws` points, each on a path of its own of `steps`, guided by `guidance`,
    of latents of `shape` (channels, height, width), at levels between the log SNRs `boundary` and `until`.

    With g_i the gradient of the erase term of sample i, an entry of a weight scores |sum_i g_i| ("abs_sum"),
    sum_i |g_i| ("sum_abs") or sum_i g_i^2 ("sum_square"). `batch` samples are followed together, which changes memory
    and not scores beyond rounding. Ranked within each tensor or over all ("global"), a `fraction` of entries is kept,
    the highest scores ("top") or, as an ablation, the lowest ("bottom"). Maps are combined by intersection, union, or
    `votes`: how many of them have to hold an entry. Of `objective` the erase term counts alone, unless `stepping`.
    """

    objective: Objective
    shape: tuple[int, int, int]
    seeds: tuple[int, ...]
    boundary: float
    until: float = inf
    steps: int = 50
    guidance: float = 3.0
    draws: int = 10
    batch: int = 1
    score: Score = "abs_sum"
    ranking: Ranking = "tensor"
    keep: Keep = "top"
    fraction: float = 0.5
    combine: Combine = "intersection"
    votes: int | None = None
    parameters: str = "full"
    gradient_checkpointing: bool = False
    stepping: Stepping | None = None

    def __post_init__(self) -> None:
        for name in ("draws", "batch", "steps"):
            if getattr(self, name) < 1:
                raise EraseError(f"{name} is {getattr(self, name)}, expected 1 or more")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise EraseError(f"seeds are {list(self.seeds)}, expected some of 0 or more, none of them twice")
        if not 0 < self.fraction <= 1:
            raise EraseError(f"fraction is {self.fraction}, expected more than 0 and up to 1")
        if (self.votes is not None) != (self.combine == "vote"):
            raise EraseError(f"votes are {self.votes} for combine {self.combine}", hint="vote has votes, others none")
        if self.votes is not None and self.votes < 1:
            raise EraseError(f"votes are {self.votes}, expected 1 or more")
        if self.stepping is None and self.objective.ablation != Ablation():
            raise EraseError("ablations of the objective show in a map only with stepping")
        chosen(self.parameters)  # refuses a name that is not known

    def points(self, schedule: NoiseSchedule) -> PointSampler:
        """What draws the points of a model trained with `schedule`, one sample at a time."""
        return PointSampler(
            levels=schedule.levels(self.steps),
            boundary=Boundary(self.boundary),
            shape=(1, *self.shape),
            guidance=self.guidance,
            until=self.until,
        )


def read_saliency_config(values: Mapping[str, Any]) -> SaliencyConfig:
    """The configuration of a mapping, as TOML or JSON gives it; EraseError for an unknown key or a value of no use."""
    return read(SaliencyConfig, values)
