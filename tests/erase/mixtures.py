"""A world of two attributes: a coarse structure far apart, decided early, and a fine concept, decided late."""

from __future__ import annotations

import math

import torch

from graphlab.erase.analytic import ExactNetwork, Mixture
from graphlab.erase.denoiser import Denoiser
from graphlab.erase.noise import DiscreteSchedule, FlowSchedule, NoiseSchedule, Parametrisation

STRUCTURE, CONCEPT = 4.0, 0.35
"""Half the distance of the means along the first and the second axis."""
SPREAD = 0.05
"""Standard deviation of a component."""


def cosine(times: int = 1000) -> DiscreteSchedule:
    """A cosine schedule that ends a little before noise alone."""
    angles = [(time + 1) / (times + 2) * math.pi / 2 for time in range(times)]
    return DiscreteSchedule(tuple(math.cos(angle) ** 2 for angle in angles))


def mixture(dtype: torch.dtype = torch.float64) -> Mixture:
    """Components in the order (structure, concept): (-,-), (-,+), (+,-), (+,+)."""
    means = [[s * STRUCTURE, c * CONCEPT] for s in (-1, 1) for c in (-1, 1)]
    return Mixture(torch.tensor(means, dtype=dtype)[:, None, None, :], SPREAD)


def exact(kind: Parametrisation = "epsilon", schedule: NoiseSchedule | None = None) -> Denoiser:
    chosen = schedule or (FlowSchedule() if kind == "flow" else cosine())
    return Denoiser(ExactNetwork(mixture(), chosen, kind), chosen, kind)


def text(*weights: float) -> torch.Tensor:
    """A prompt as the weights of the components."""
    made = torch.tensor(weights, dtype=torch.float64)
    return (made / made.sum())[None, None]


EMPTY = text(1, 1, 1, 1)
GIVEN = text(0.02, 0.2, 0.02, 0.76)
"""The concept mostly there; images with it have the positive structure more often."""


def noise(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 1, 1, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
