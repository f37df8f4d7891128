"""The noise levels that bases are trained at: log SNR from LOW to HIGH, evenly."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from graphlab.erase.noise import DiscreteSchedule, FlowSchedule, NoiseSchedule, Parametrisation

LOW, HIGH = -4.0, 3.0
"""log SNR: below, not even a layout shows; above, only rounding is left."""
TIMES = 1000
FLOW_ENDS = 0.15
"""Share of a flow's training levels drawn evenly over all noise, 0 to 1.

A flow's sampler starts at noise alone and ends below 1 / steps, both outside LOW to HIGH; the discrete schedules
have their ends there.
"""


@dataclass(frozen=True, slots=True)
class Levels:
    """Levels of a batch: `time`, `alpha` and `sigma`, each (batch,)."""

    time: torch.Tensor
    alpha: torch.Tensor
    sigma: torch.Tensor

    def noisy(self, clean: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """alpha x0 + sigma eps (batch, channels, height, width)."""
        return _wide(self.alpha) * clean + _wide(self.sigma) * noise

    def target(self, clean: torch.Tensor, noise: torch.Tensor, kind: Parametrisation) -> torch.Tensor:
        """What a network of that kind is to predict: eps, v = alpha eps - sigma x0, or u = eps - x0."""
        if kind == "epsilon":
            return noise
        if kind == "v_prediction":
            return _wide(self.alpha) * noise - _wide(self.sigma) * clean
        return noise - clean

    def weight(self, kind: Parametrisation) -> torch.Tensor:
        """What the squared error of each image counts (batch,): errors of noise count as those of v, 1 / alpha^2.

        What a prompt decides is decided in much noise, where the error of eps is alpha^2 times that of v and next to
        nothing. v and flow weigh it so by themselves.
        """
        return self.alpha**-2 if kind == "epsilon" else torch.ones_like(self.alpha)


def schedule_for(kind: Parametrisation) -> NoiseSchedule:
    """The levels of a base that predicts `kind`: log SNR falls evenly from HIGH to LOW with time, or a plain flow."""
    if kind == "flow":
        return FlowSchedule(1.0, float(TIMES))
    falling = (HIGH - (HIGH - LOW) * time / (TIMES - 1) for time in range(TIMES))
    return DiscreteSchedule(tuple(1 / (1 + math.exp(-value)) for value in falling))


def training_levels(kind: Parametrisation, count: int, generator: torch.Generator) -> Levels:
    """`count` levels, log SNR drawn evenly from LOW to HIGH; of a flow, FLOW_ENDS of them evenly over its noise."""
    drawn = torch.rand(count, generator=generator, dtype=torch.float64)
    if kind == "flow":
        ends = torch.rand(count, generator=generator) < FLOW_ENDS
        log_snr = LOW + (HIGH - LOW) * drawn
        sigma = torch.where(ends, drawn, torch.sigmoid(-log_snr / 2))
        return Levels((TIMES * sigma).float(), (1 - sigma).float(), sigma.float())
    time = (drawn * TIMES).long().clamp(max=TIMES - 1)
    signal = torch.sigmoid(HIGH - (HIGH - LOW) * time.double() / (TIMES - 1))
    return Levels(time.float(), signal.sqrt().float(), (1 - signal).sqrt().float())


def _wide(value: torch.Tensor) -> torch.Tensor:
    return value[:, None, None, None]
