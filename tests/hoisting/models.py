"""Small modules with what denoisers have: a timestep, text that stays, and a sample that steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from graphlab.program import Program
from graphlab.sources.module import capture

WIDTH = 8


class Denoiser(nn.Module):
    """A module of `function(self, sample, timestep, text)` with a linear each for time, keys, values and the sample."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function
        for name in ("time", "key", "value", "query"):
            setattr(self, name, nn.Linear(WIDTH, WIDTH))
        self.modulation = nn.Linear(WIDTH, 3 * WIDTH)
        self.norm = nn.LayerNorm(WIDTH)
        self.table = nn.Parameter(torch.randn(1, WIDTH))
        self.register_buffer("frequencies", torch.linspace(0.1, 1.0, WIDTH))

    def forward(self, sample: torch.Tensor, timestep: torch.Tensor, text: torch.Tensor) -> Any:
        return self.function(self, sample, timestep, text)


def program(function: Callable[..., Any], *, dynamic: bool = True, frames: int = 3) -> Program:
    """`function` captured on sample (batch, frames, width), timestep (), text (batch, tokens, width)."""
    torch.manual_seed(0)
    inputs = (torch.randn(2, frames, WIDTH), torch.tensor(7.0), torch.randn(2, 5, WIDTH))
    return capture(Denoiser(function).eval(), inputs, dynamic="auto" if dynamic else False, name="denoiser")


def embedded(self: Any, sample: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
    """The timestep, expanded to the batch of the sample, through a linear: (batch, width)."""
    spread = timestep.expand(sample.shape[0])
    result: torch.Tensor = self.time(torch.sin(spread[:, None] * self.frequencies))
    return result


def attend(self: Any, sample: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
    """Cross-attention of the sample to the text: (batch, frames, width)."""
    return torch.nn.functional.scaled_dot_product_attention(self.query(sample), self.key(text), self.value(text))


def denoise(self: Any, sample: torch.Tensor, timestep: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
    """Time embedding, cross-attention."""
    return attend(self, sample + embedded(self, sample, timestep)[:, None], text)
