"""C-ViViT of Phenaki (Villegas et al. 2022, arXiv 2210.02399): a video as tokens, the first frame on its own.

Patches of 8 x 8 pixels of the first frame and of 2 x 8 x 8 of the others; transformer blocks over the positions of
one frame, then causal ones over the frames of one position. The decoder runs the same two stacks the other way
round. Patches are cut by strided convolutions, which is what a linear map of each patch is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import nn

from graphlab.architectures.causal_attention import CausalProcessor


class CViViT(nn.Module):
    """What encoder and decoder share: learned positions, blocks over space, causal blocks over time."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        from diffusers.models.attention import BasicTransformerBlock

        self.width, heads = int(config["hidden_size"]), int(config["heads"])
        self.patch, self.pair = int(config["patch"]), int(config["frames_per_latent"])
        grid = int(config["grid"])
        self.codebook = nn.Embedding(int(config["codes"]), int(config["code_width"]))
        self.places = nn.Parameter(torch.zeros(1, 1, grid, grid, self.width))
        self.times = nn.Parameter(torch.zeros(1, int(config["latent_frames"]), 1, 1, self.width))

        def block(causal: bool) -> nn.Module:
            made: Any = BasicTransformerBlock(self.width, heads, self.width // heads, activation_fn="gelu")
            if causal:
                made.attn1.set_processor(CausalProcessor())
            return cast(nn.Module, made)

        self.spatial = nn.ModuleList(block(causal=False) for _ in range(int(config["spatial_layers"])))
        self.temporal = nn.ModuleList(block(causal=True) for _ in range(int(config["temporal_layers"])))
        self.norm = nn.LayerNorm(self.width)

    def positioned(self, hidden: torch.Tensor) -> torch.Tensor:
        """hidden (batch, frames, rows, columns, width) plus its places and times."""
        return hidden + self.places[:, :, : hidden.shape[2], : hidden.shape[3]] + self.times[:, : hidden.shape[1]]

    def over_space(self, hidden: torch.Tensor) -> torch.Tensor:
        """hidden (batch, frames, rows, columns, width): every frame attends to itself."""
        flat = hidden.flatten(2, 3).flatten(0, 1)  # (batch frames, positions, width)
        for block in self.spatial:
            flat = block(flat)
        return flat.view(hidden.shape)

    def over_time(self, hidden: torch.Tensor) -> torch.Tensor:
        """hidden (batch, frames, rows, columns, width): every position attends to its past."""
        moved = hidden.permute(0, 2, 3, 1, 4)
        flat = moved.flatten(0, 2)  # (batch positions, frames, width)
        for block in self.temporal:
            flat = block(flat)
        return flat.view(moved.shape).permute(0, 3, 1, 2, 4)


class CViViTEncoder(CViViT):
    """Pixels to codebook indices."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        size = (self.patch, self.patch)
        self.first = nn.Conv2d(3, self.width, size, stride=size)
        self.rest = nn.Conv3d(3, self.width, (self.pair, *size), stride=(self.pair, *size))
        self.project_out = nn.Linear(self.width, int(config["code_width"]))

    def forward(self, video: torch.Tensor) -> torch.Tensor:
        """video (batch, 3, 1 + pair * n, height, width) -> tokens (batch, 1 + n, height/patch, width/patch)."""
        first = self.first(video[:, :, 0]).unsqueeze(2)
        hidden = torch.cat((first, self.rest(video[:, :, 1:])), dim=2).permute(0, 2, 3, 4, 1)
        hidden = self.norm(self.over_time(self.over_space(self.positioned(hidden))))
        codes = F.normalize(self.project_out(hidden), dim=-1)
        # The nearest of normalised codes is the one with the largest product.
        return (codes @ F.normalize(self.codebook.weight, dim=-1).t()).argmax(-1)


class CViViTDecoder(CViViT):
    """Codebook indices to pixels."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        self.project_in = nn.Linear(int(config["code_width"]), self.width)
        self.first = nn.Linear(self.width, 3 * self.patch**2)
        self.rest = nn.Linear(self.width, 3 * self.pair * self.patch**2)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """tokens (batch, 1 + n, height/patch, width/patch) -> video (batch, 3, 1 + pair * n, height, width)."""
        hidden = self.project_in(F.normalize(self.codebook(tokens), dim=-1))
        hidden = self.norm(self.over_space(self.over_time(self.positioned(hidden))))
        first = self._pixels(self.first(hidden[:, :1]))
        rest = self._pixels(self.rest(hidden[:, 1:]))
        return torch.cat((first, rest), dim=1).transpose(1, 2)

    def _pixels(self, patches: torch.Tensor) -> torch.Tensor:
        """patches (batch, n, rows, columns, 3 k patch patch) -> frames (batch, n * k, 3, height, width)."""
        batch, count = patches.shape[:2]
        spread = F.pixel_shuffle(patches.permute(0, 1, 4, 2, 3).flatten(0, 1), self.patch)
        return spread.reshape(batch, count * (spread.shape[1] // 3), 3, *spread.shape[2:])
