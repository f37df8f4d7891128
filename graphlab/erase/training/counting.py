"""Counts what a network is asked: evaluations of one sample, with gradient and without."""

from __future__ import annotations

from dataclasses import replace

import torch

from graphlab.erase.denoiser import Denoiser, Network


class Counted:
    """`network`, with its evaluations counted and its results in the dtype of the latents, whatever it computed in."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.trained = 0
        """Samples evaluated with gradient."""
        self.other = 0
        """Samples evaluated without."""

    def __call__(self, x: torch.Tensor, time: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        """The network's prediction."""
        if torch.is_grad_enabled():
            self.trained += len(x)
        else:
            self.other += len(x)
        return self._network(x, time, text).to(x.dtype)


def counted(denoiser: Denoiser) -> tuple[Denoiser, Counted]:
    """(the denoiser with its evaluations counted, the count)."""
    count = Counted(denoiser.network)
    return replace(denoiser, network=count), count
