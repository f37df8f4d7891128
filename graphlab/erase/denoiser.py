"""A network with the schedule it was trained for: noise predicted for a latent at a level, under a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch

from graphlab.erase.noise import Level, NoiseSchedule, Parametrisation
from graphlab.erase.prediction import clean_of, noise_of


class Network(Protocol):
    """What a denoiser calls: latents (batch, channels, height, width), times (batch,), text (batch, tokens, width)."""

    def __call__(self, x: torch.Tensor, time: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        """The prediction, of the latents' shape."""
        ...


@dataclass(frozen=True)
class Denoiser:
    """`network` predicts in `kind` at the levels of `schedule`."""

    network: Network
    schedule: NoiseSchedule
    kind: Parametrisation = "epsilon"

    def output(self, x: torch.Tensor, level: Level, text: torch.Tensor) -> torch.Tensor:
        """The network's own prediction for `x` (batch, channels, height, width) under `text`; one text serves all."""
        time = torch.full((len(x),), level.time, device=x.device)
        if len(text) != len(x):
            text = text.expand(len(x), *text.shape[1:])
        return self.network(x, time, text)

    def noise(self, x: torch.Tensor, level: Level, text: torch.Tensor) -> torch.Tensor:
        """eps in `x`, whatever the network predicts."""
        return noise_of(self.output(x, level, text), x, level, self.kind)

    def guided(
        self, x: torch.Tensor, level: Level, text: torch.Tensor, empty: torch.Tensor, guidance: float
    ) -> torch.Tensor:
        """The network's prediction with classifier-free guidance: that of `empty` plus `guidance` x the difference.

        One call of twice the batch; of one text alone where the other has no weight.
        """
        if guidance == 1:
            return self.output(x, level, text)
        if guidance == 0:
            return self.output(x, level, empty)
        both = torch.cat([empty.expand(len(x), *empty.shape[1:]), text.expand(len(x), *text.shape[1:])])
        without, given = self.output(torch.cat([x, x]), level, both).chunk(2)
        return without + guidance * (given - without)

    def step(self, output: torch.Tensor, x: torch.Tensor, level: Level, following: Level) -> torch.Tensor:
        """The latent at `following` on the deterministic path (DDIM with eta 0; for a flow, one Euler step)."""
        clean = clean_of(output, x, level, self.kind)
        return following.alpha * clean + following.sigma * noise_of(output, x, level, self.kind)
