"""ViT-VQGAN (Yu et al. 2021, arXiv 2110.04627): the decoder, from codebook indices to pixels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn


class ViTVQGANDecoder(nn.Module):
    """Codes looked up, normalised and projected; transformer blocks over the grid; a patch of pixels a token.

    Positions are a learned table of rows and columns as large as the image the model is made for; smaller
    grids read its corner.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        from diffusers.models.attention import BasicTransformerBlock

        width, heads, rows = int(config["hidden_size"]), int(config["heads"]), int(config["grid"])
        self.patch = int(config["patch"])
        self.codebook = nn.Embedding(int(config["codes"]), int(config["code_width"]))
        self.project_in = nn.Linear(int(config["code_width"]), width)
        self.positions = nn.Parameter(torch.zeros(1, rows, rows, width))
        self.blocks = nn.ModuleList(
            BasicTransformerBlock(width, heads, width // heads, activation_fn="gelu", attention_bias=True)
            for _ in range(int(config["layers"]))
        )
        self.norm = nn.LayerNorm(width)
        self.to_pixels = nn.Linear(width, 3 * self.patch**2)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """tokens (batch, height/patch, width/patch) -> image (batch, 3, height, width)."""
        rows, columns = tokens.shape[1:]
        hidden = self.project_in(F.normalize(self.codebook(tokens), dim=-1))
        hidden = (hidden + self.positions[:, :rows, :columns]).flatten(1, 2)
        for block in self.blocks:
            hidden = block(hidden)
        pixels = self.to_pixels(self.norm(hidden)).unflatten(1, (rows, columns))
        # (batch, rows, columns, 3 patch patch) to channels first: pixel_shuffle spreads a patch over its pixels
        return F.pixel_shuffle(pixels.permute(0, 3, 1, 2), self.patch)
