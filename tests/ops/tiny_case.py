"""What tiny models are made with: the registry, and example tensors on the default device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

Case = Callable[[], tuple[torch.nn.Module, dict[str, Any]]]
CASES: dict[str, Case] = {}
DEVICE = {"mochi": "cpu"}
"""Where a case is made, meta by default: Mochi opens an autocast of its device type, which meta has none of."""


def case(build: Case) -> Case:
    """Register `build` under its own name."""
    CASES[build.__name__] = build
    return build


def rand(*shape: int) -> torch.Tensor:
    """A float32 tensor."""
    return torch.randn(shape)


def ints(*shape: int) -> torch.Tensor:
    """An int64 tensor of zeros."""
    return torch.zeros(shape, dtype=torch.int64)


def mask(*shape: int) -> torch.Tensor:
    """A bool tensor."""
    return torch.ones(shape, dtype=torch.bool)
