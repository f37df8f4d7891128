"""Noise levels: how much signal and noise a latent holds, and what time a network is told for it.

x = alpha x0 + sigma eps. A level is named by log SNR = log(alpha^2 / sigma^2), which means the same for every number of
steps, scheduler and parametrisation; step indices do not, and which end they count from differs between codes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, Protocol

import numpy as np

from graphlab.erase.errors import EraseError

Parametrisation = Literal["epsilon", "v_prediction", "flow"]


@dataclass(frozen=True, slots=True)
class Level:
    """`alpha` of the signal and `sigma` of the noise (no units), and the `time` a network is given for them."""

    time: float
    alpha: float
    sigma: float

    @property
    def log_snr(self) -> float:
        """log(alpha^2 / sigma^2): -inf for noise alone, inf for the clean image."""
        if self.alpha == 0 or self.sigma == 0:
            return math.inf if self.sigma == 0 else -math.inf
        return 2 * (math.log(self.alpha) - math.log(self.sigma))


CLEAN = Level(0.0, 1.0, 0.0)
"""The end of every trajectory; no network is asked there."""


class NoiseSchedule(Protocol):
    """The levels a network was trained at."""

    def levels(self, steps: int) -> tuple[Level, ...]:
        """`steps` levels from the noisiest to the last before the clean image."""
        ...

    def told(self, time: float) -> Level:
        """The level of which a network is told `time`."""
        ...

    def at(self, log_snr: float) -> Level:
        """The level nearest to `log_snr` that the network knows."""
        ...


@dataclass(frozen=True)
class DiscreteSchedule:
    """Variance preserving, alpha^2 + sigma^2 = 1, at whole times: `alphas_cumprod` is alpha^2 by time, falling."""

    alphas_cumprod: tuple[float, ...]

    def __post_init__(self) -> None:
        values = self.alphas_cumprod
        if not values or any(not 0 <= value <= 1 for value in values):
            raise EraseError("a schedule's alphas_cumprod lie between 0 and 1")
        if any(later >= earlier for earlier, later in pairwise(values)):
            raise EraseError("a schedule's alphas_cumprod fall with time")

    def level(self, time: int) -> Level:
        """The level at a whole time."""
        signal = self.alphas_cumprod[time]
        return Level(float(time), math.sqrt(signal), math.sqrt(1 - signal))

    def told(self, time: float) -> Level:
        """The level at `time`, a whole number."""
        if time != int(time):
            raise EraseError(f"time {time} of a schedule of whole times")
        return self.level(int(time))

    def levels(self, steps: int) -> tuple[Level, ...]:
        """Evenly spaced times that start at the last one (diffusers' "trailing" spacing)."""
        last = len(self.alphas_cumprod)
        if not 1 <= steps <= last:
            raise EraseError(f"{steps} steps of a schedule with {last} times")
        times = np.round(np.arange(last, 0, -last / steps)).astype(int)[:steps] - 1
        return tuple(self.level(int(time)) for time in times)

    def at(self, log_snr: float) -> Level:
        """The whole time whose log SNR is nearest."""
        found = [self.level(time) for time in range(len(self.alphas_cumprod))]
        finite = [level for level in found if math.isfinite(level.log_snr)]
        if log_snr == -math.inf:
            return found[-1]
        return min(finite, key=lambda level: abs(level.log_snr - log_snr))


@dataclass(frozen=True)
class FlowSchedule:
    """Rectified flow, alpha = 1 - sigma: the network is told `scale` sigma; `shift` moves steps to the noisy end."""

    shift: float = 1.0
    scale: float = 1000.0

    def level(self, sigma: float) -> Level:
        """The level with that much noise, 0 to 1."""
        return Level(self.scale * sigma, 1 - sigma, sigma)

    def told(self, time: float) -> Level:
        """The level of which a network is told `time`, `scale` times its noise."""
        return self.level(time / self.scale)

    def levels(self, steps: int) -> tuple[Level, ...]:
        """Noise from 1 down to 1 / `steps`, evenly spaced, then shifted."""
        if steps < 1:
            raise EraseError(f"{steps} steps")
        even = (1 - index / steps for index in range(steps))
        return tuple(self.level(self.shift * value / (1 + (self.shift - 1) * value)) for value in even)

    def at(self, log_snr: float) -> Level:
        """The level with exactly that log SNR."""
        return self.level(1 / (1 + math.exp(log_snr / 2)) if log_snr > -math.inf else 1.0)


def schedule_of(scheduler: Any) -> tuple[NoiseSchedule, Parametrisation]:
    """(levels, parametrisation) that a diffusers scheduler's network was trained for; EraseError for another kind."""
    config = scheduler.config
    if hasattr(scheduler, "alphas_cumprod"):
        kind = config.get("prediction_type", "epsilon")
        if kind not in ("epsilon", "v_prediction"):
            raise EraseError(f"{type(scheduler).__name__} predicts {kind!r}", hint="known: epsilon, v_prediction")
        values: Sequence[float] = scheduler.alphas_cumprod.double().tolist()
        return DiscreteSchedule(tuple(values)), kind
    if type(scheduler).__name__.startswith("FlowMatch"):
        if config.get("use_dynamic_shifting"):
            raise EraseError(f"{type(scheduler).__name__} shifts by the image's size", hint="give a fixed shift")
        return FlowSchedule(float(config.get("shift", 1.0)), float(config.get("num_train_timesteps", 1000))), "flow"
    raise EraseError(
        f"{type(scheduler).__name__} has no noise levels that are known here",
        hint="give a DDPM or DDIM scheduler, or a flow-matching one",
    )
