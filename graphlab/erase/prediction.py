"""What a network predicts, as the clean image and the noise: losses compare noise, whatever is predicted."""

from __future__ import annotations

import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.noise import Level, Parametrisation


def noise_of(output: torch.Tensor, x: torch.Tensor, level: Level, kind: Parametrisation) -> torch.Tensor:
    """eps (batch, channels, height, width) that `output` stands for at `level`, where the latent is `x`.

    epsilon: itself. v = alpha eps - sigma x0: eps = alpha v + sigma x. flow u = eps - x0: eps = x + alpha u.
    """
    if kind == "epsilon":
        return output
    if kind == "v_prediction":
        return level.alpha * output + level.sigma * x
    return x + level.alpha * output


def clean_of(output: torch.Tensor, x: torch.Tensor, level: Level, kind: Parametrisation) -> torch.Tensor:
    """x0 that `output` stands for. EraseError for noise alone predicted as epsilon: nothing follows of x0 there."""
    if kind == "v_prediction":
        return level.alpha * x - level.sigma * output
    if kind == "flow":
        return x - level.sigma * output
    if level.alpha == 0:
        raise EraseError("a network that predicts epsilon says nothing of the image where there is noise alone")
    return (x - level.sigma * output) / level.alpha


def output_of(eps: torch.Tensor, x: torch.Tensor, level: Level, kind: Parametrisation) -> torch.Tensor:
    """The output that stands for `eps`; EraseError where none does (v and flow without signal)."""
    if kind == "epsilon":
        return eps
    if level.alpha == 0:
        raise EraseError("noise says nothing of the image where there is noise alone")
    return (eps - level.sigma * x) / level.alpha if kind == "v_prediction" else (eps - x) / level.alpha
