"""A module to run new passes on."""

from __future__ import annotations

import torch
from torch import nn


def module() -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    """Two layers over (2, 4)."""
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)), (torch.randn(2, 4),)
