"""What a training run is told, typed and complete: the same configuration, base and mask give the same weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any, Literal

from graphlab.erase.errors import EraseError
from graphlab.erase.noise import NoiseSchedule
from graphlab.erase.objective import Objective
from graphlab.erase.sampling import PointSampler
from graphlab.erase.training.parameters import chosen
from graphlab.erase.training.strict import plain, read
from graphlab.erase.trajectory import Boundary

OptimizerName = Literal["adam", "adamw", "sgd"]
Precision = Literal["no", "bf16", "fp16"]


@dataclass(frozen=True, slots=True)
class PathConfig:
    """Where points come from: paths of `steps` of the `sampler`, guided by `guidance`, of latents of `shape` (channels,
    height, width), `batch` at a time; early is below the log SNR `boundary`, late above it up to `until`.

    `pool` noises, of the seeds 0 to pool - 1, are drawn again and again (0: every iteration has its own), and the
    teacher's paths from them kept in `cache_bytes`.
    """

    shape: tuple[int, int, int]
    boundary: float
    until: float = inf
    steps: int = 50
    guidance: float = 3.0
    batch: int = 1
    sampler: Literal["teacher", "student"] = "teacher"
    pool: int = 0
    cache_bytes: int = 2**28

    def __post_init__(self) -> None:
        for name in ("steps", "batch"):
            _at_least(name, getattr(self, name), 1)
        for name in ("pool", "cache_bytes"):
            _at_least(name, getattr(self, name), 0)
        if self.until <= self.boundary < inf:
            raise EraseError(
                f"until is {self.until:g} and the boundary {self.boundary:g}: no level lies between them",
                hint="late levels reach from the boundary up to until",
            )

    def points(self, schedule: NoiseSchedule) -> PointSampler:
        """What draws the points of a model trained with `schedule`."""
        return PointSampler(
            levels=schedule.levels(self.steps),
            boundary=Boundary(self.boundary),
            shape=(self.batch, *self.shape),
            guidance=self.guidance,
            until=self.until,
            pool=range(self.pool),
        )


@dataclass(frozen=True, slots=True)
class LoraConfig:
    """Low-rank changes: `rank` of B A, which counts `alpha` / `rank`."""

    rank: int
    alpha: float = 1.0

    def __post_init__(self) -> None:
        _at_least("rank", self.rank, 1)
        if not (isfinite(self.alpha) and self.alpha > 0):
            raise EraseError(f"alpha is {self.alpha}, expected more than 0")


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """A run of `iterations` that minimises `objective` over `parameters` (see graphlab.erase.training.parameters).

    `weight_decay` None is torch's default of the optimizer. `clip` is the largest norm of the gradient, None for any.
    `backend` "accelerate" places the models on the device that accelerate finds and is needed for a `precision` other
    than "no"; "plain" leaves them where they are. With `lora`, weights of linear layers and convolutions meant by
    `parameters` get a low-rank change instead. A checkpoint is written every `save_every` iterations and at the end.
    """

    objective: Objective
    path: PathConfig
    iterations: int = 250
    rate: float = 5e-4
    optimizer: OptimizerName = "adam"
    weight_decay: float | None = None
    momentum: float = 0.9
    clip: float | None = None
    parameters: str = "full"
    lora: LoraConfig | None = None
    gradient_checkpointing: bool = False
    backend: Literal["plain", "accelerate"] = "plain"
    precision: Precision = "no"
    seed: int = 0
    save_every: int = 50

    def __post_init__(self) -> None:
        _at_least("iterations", self.iterations, 0)
        _at_least("save_every", self.save_every, 1)
        _at_least("seed", self.seed, 0)
        if not (isfinite(self.rate) and self.rate > 0):
            raise EraseError(f"rate is {self.rate}, expected more than 0")
        if not 0 <= self.momentum < 1:
            raise EraseError(f"momentum is {self.momentum}, expected 0 or more and less than 1")
        if self.weight_decay is not None and not (isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise EraseError(f"weight_decay is {self.weight_decay}, expected 0 or more")
        if self.clip is not None and self.clip <= 0:
            raise EraseError(f"clip is {self.clip}, expected more than 0")
        if self.precision != "no" and self.backend != "accelerate":
            raise EraseError(f"precision {self.precision} needs the backend accelerate")
        chosen(self.parameters)  # refuses a name that is not known


def read_config(values: Mapping[str, Any]) -> TrainingConfig:
    """The configuration of a mapping, as TOML or JSON gives it; EraseError for an unknown key or a value of no use."""
    return read(TrainingConfig, values)


def config_mapping(config: TrainingConfig) -> dict[str, Any]:
    """What `read_config` reads back to `config`, in values that JSON can write."""
    made: dict[str, Any] = plain(config)
    return made


def text_hash(values: Any) -> str:
    """SHA-256, in hexadecimal, of `values` as JSON with sorted keys."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, allow_nan=False).encode()).hexdigest()


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise EraseError(f"{name} is {value}, expected {least} or more")
