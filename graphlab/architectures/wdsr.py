"""WDSR (Yu et al. 2018, arXiv 1808.08718): super-resolution by residual blocks that widen before the activation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn


class WDSRBlock(nn.Module):
    """3 x 3 convolution to `expansion` times the channels, ReLU, 3 x 3 convolution back, residual (WDSR-A)."""

    def __init__(self, channels: int, expansion: int) -> None:
        super().__init__()
        self.widen = nn.Conv2d(channels, channels * expansion, 3, padding=1)
        self.narrow = nn.Conv2d(channels * expansion, channels, 3, padding=1)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """hidden (batch, channels, height, width) -> the same shape."""
        narrowed: torch.Tensor = self.narrow(F.relu(self.widen(hidden)))
        return hidden + narrowed


class WDSR(nn.Module):
    """Residual blocks at the low resolution, then pixel shuffle, beside one 5 x 5 convolution that skips them.

    Weight normalisation is folded into the weights, as it is once training is over.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        channels, self.scale = int(config["channels"]), int(config["scale"])
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.blocks = nn.Sequential(
            *(WDSRBlock(channels, int(config["expansion"])) for _ in range(int(config["blocks"])))
        )
        self.tail = nn.Conv2d(channels, 3 * self.scale**2, 3, padding=1)
        self.skip = nn.Conv2d(3, 3 * self.scale**2, 5, padding=2)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """image (batch, 3, height, width) -> image (batch, 3, height * scale, width * scale)."""
        detail: torch.Tensor = self.tail(self.blocks(self.head(image)))
        return F.pixel_shuffle(detail + self.skip(image), self.scale)
