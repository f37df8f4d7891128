"""A diffusion stage over all its steps, with the work of the scheduler in between."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from graphlab.timing.job import Sampling

Call = Callable[[Mapping[str, torch.Tensor]], Sequence[Any]]


class Sampler:
    """Runs every step of a schedule: the model, guidance where two halves of the batch are combined, and a DDIM step.

    The first result of the program is taken for the prediction; `suits` says beforehand whether it can be.
    """

    def __init__(self, sampling: Sampling, inputs: Mapping[str, torch.Tensor]) -> None:
        from diffusers import DDIMScheduler

        self.scheduler = DDIMScheduler()
        self.scheduler.set_timesteps(sampling.steps)
        self.sampling, self.inputs = sampling, dict(inputs)

    def run(self, call: Call) -> torch.Tensor:
        """The latent after the last step."""
        model_input = self.inputs[self.sampling.latent]
        latent = model_input.chunk(2)[0] if self.sampling.guided else model_input
        for time in self.scheduler.timesteps:
            given = torch.cat([latent, latent]) if self.sampling.guided else latent
            scaled = self.scheduler.scale_model_input(given, time)
            prediction = call({**self.inputs, self.sampling.latent: scaled})[0]
            if self.sampling.guided:
                free, bound = prediction.chunk(2)
                prediction = free + 7.5 * (bound - free)
            latent = self.scheduler.step(prediction.to(latent.device), time, latent).prev_sample.to(model_input.dtype)
        return latent


def suits(latent: Sequence[int], result: Sequence[int], *, guided: bool) -> bool:
    """Whether a scheduler's step fits a stage of these shapes: the prediction is like the latent, guided ones halve."""
    return list(latent) == list(result) and (not guided or (len(latent) > 0 and latent[0] % 2 == 0))
