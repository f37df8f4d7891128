"""A model whose noise is known in closed form: a mixture of Gaussians, a prompt being the weights of its components.

x0 ~ sum_k w_k N(mu_k, spread^2 I), so x = alpha x0 + sigma eps has the score of a mixture with means alpha mu_k and
variance alpha^2 spread^2 + sigma^2, and eps*(x) = -sigma score(x). Objectives, boundaries and samplers are tested
against it in seconds, without a network that had to be trained first.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from graphlab.erase.noise import Level, NoiseSchedule, Parametrisation
from graphlab.erase.prediction import output_of


@dataclass(frozen=True)
class Mixture:
    """`means` (components, channels, height, width) and the standard deviation `spread` of each component."""

    means: torch.Tensor
    spread: float

    def responsibilities(self, x: torch.Tensor, level: Level, weights: torch.Tensor) -> torch.Tensor:
        """Posterior (batch, components) given latents `x` and prior `weights` (batch, components)."""
        return torch.softmax(self._log_densities(x, level) + weights.log(), dim=-1)

    def noise(self, x: torch.Tensor, level: Level, weights: torch.Tensor) -> torch.Tensor:
        """eps* (batch, channels, height, width): the mean of the noise in `x` under the prior `weights`."""
        posterior = self.responsibilities(x, level, weights)
        centre = torch.einsum("bk,kchw->bchw", posterior, level.alpha * self.means)
        return level.sigma * (x - centre) / self._variance(level)

    def _variance(self, level: Level) -> float:
        return (level.alpha * self.spread) ** 2 + level.sigma**2

    def _log_densities(self, x: torch.Tensor, level: Level) -> torch.Tensor:
        distance = (x[:, None] - level.alpha * self.means).flatten(2).square().sum(-1)
        return -distance / (2 * self._variance(level))


@dataclass(frozen=True)
class ExactNetwork:
    """The mixture as a network at the levels of `schedule`: a text is (batch, 1, components), weights that sum to 1."""

    mixture: Mixture
    schedule: NoiseSchedule
    kind: Parametrisation = "epsilon"

    def __call__(self, x: torch.Tensor, time: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        """The exact prediction; all of a batch are at one time."""
        level = self.schedule.told(float(time[0]))
        return output_of(self.mixture.noise(x, level, text[:, 0]), x, level, self.kind)
