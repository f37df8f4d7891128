"""Modules with an operator that graphlab has no rule for: some of their calls are unknown, or all."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import nn

import graphlab
from graphlab import Program


@torch.library.custom_op("graphlab_tests::mystery", mutates_args=())
def mystery(x: torch.Tensor) -> torch.Tensor:
    """An operator nobody wrote a rule for."""
    return x.clone()


@mystery.register_fake
def _(x: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(x)


class Odd(nn.Module):
    """The operator alone: nothing is known of its FLOP."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return mystery(x)


class Mixed(nn.Module):
    """The operator in a module of its own and at the end, a linear layer between them."""

    def __init__(self) -> None:
        super().__init__()
        self.odd = Odd()
        self.lin = nn.Linear(64, 64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return mystery(self.lin(self.odd(x))).relu()


FLOPS = 2 * 2 * 8 * 64 * 64
"""FLOP of the linear layer of `mixed`."""


def _captured(module: nn.Module, name: str) -> Program:
    return graphlab.capture(module.eval(), (torch.zeros(2, 8, 64),), name=name, dynamic=False)


@lru_cache(maxsize=1)
def mixed() -> Program:
    """Two of four calls have no rule."""
    return _captured(Mixed(), "mixed")


@lru_cache(maxsize=1)
def odd() -> Program:
    """The only call has no rule."""
    return _captured(Odd(), "odd")


@lru_cache(maxsize=1)
def known() -> Program:
    """The linear layer alone: every call has a rule."""
    return _captured(nn.Linear(64, 64), "known")
