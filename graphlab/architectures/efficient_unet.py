"""Imagen's Efficient U-Net: super-resolution in pixel space, most of its weights at the lowest resolution.

Source: Saharia et al., "Photorealistic Text-to-Image Diffusion Models with Deep Language Understanding"
(arXiv 2205.11487), appendix B.1, figures A.27 to A.30, configurations F.2 and F.3. What the paper leaves open is
listed in `graphlab.models.imagen.EFFICIENT_UNET_NOTES`. Imports torch: import it inside `build` only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from diffusers.models.embeddings import TextTimeEmbedding, TimestepEmbedding, Timesteps
from torch import nn

SKIP_SCALE = 1 / math.sqrt(2)
"""Factor on the sum of a branch and what skips it (B.1)."""


class ResNetBlock(nn.Module):
    """x (batch, channels, h, w) to the same shape: two normalised 3x3 convolutions beside a 1x1 (figure A.27)."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.skip = nn.Conv2d(channels, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.conv1(F.silu(self.norm1(x)))
        hidden = self.conv2(F.silu(self.norm2(hidden)))
        summed: torch.Tensor = (self.skip(x) + hidden) * SKIP_SCALE
        return summed


class CombineEmbeddings(nn.Module):
    """x (batch, channels, h, w), normalised, scaled and shifted by embedding (batch, width): use_scale_shift_norm."""

    def __init__(self, channels: int, width: int, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels)
        self.project = nn.Linear(width, 2 * channels)

    def forward(self, x: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
        scale, shift = self.project(F.silu(embedding))[:, :, None, None].chunk(2, dim=1)
        combined: torch.Tensor = self.norm(x) * (1 + scale) + shift
        return combined


class TextAttention(nn.Module):
    """x (batch, channels, h, w) reads text (batch, tokens, text_width); the result has x's shape.

    With `to_self` the keys are [text ; positions], tokens + h w of them: text "concatenated to the key-value pairs of
    each self-attention layer" (D.3.1). Without, they are the text alone. Hidden size 2 x channels (figure A.28).
    """

    def __init__(self, channels: int, text_width: int, heads: int, groups: int, *, to_self: bool) -> None:
        super().__init__()
        self.heads = heads
        hidden = 2 * channels
        self.norm = nn.GroupNorm(groups, channels)
        self.query = nn.Linear(channels, hidden)
        self.text_key_value = nn.Linear(text_width, 2 * hidden)
        self.key_value = nn.Linear(channels, 2 * hidden) if to_self else None
        self.out = nn.Linear(hidden, channels)

    def forward(self, x: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        positions = self.norm(x).flatten(2).transpose(1, 2)
        key, value = self.text_key_value(text).chunk(2, dim=-1)
        if self.key_value is not None:
            own_key, own_value = self.key_value(positions).chunk(2, dim=-1)
            key, value = torch.cat((key, own_key), dim=1), torch.cat((value, own_value), dim=1)
        query, key, value = (self._split(t) for t in (self.query(positions), key, value))
        read = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        summed: torch.Tensor = (x + self.out(read).transpose(1, 2).reshape(x.shape)) * SKIP_SCALE
        return summed

    def _split(self, tokens: torch.Tensor) -> torch.Tensor:
        return torch.unflatten(tokens, -1, (self.heads, -1)).transpose(1, 2)


class Level(nn.Module):
    """What a DBlock and a UBlock share: CombineEmbs, `blocks` ResNetBlocks, attention where there is one."""

    def __init__(self, channels: int, blocks: int, width: int, groups: int, attention: TextAttention | None) -> None:
        super().__init__()
        self.combine = CombineEmbeddings(channels, width, groups)
        self.blocks = nn.ModuleList(ResNetBlock(channels, groups) for _ in range(blocks))
        self.attention = attention

    def forward(self, x: torch.Tensor, embedding: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        x = self.combine(x, embedding)
        for block in self.blocks:
            x = block(x)
        return self.attention(x, text) if self.attention is not None else x


class EfficientUNet(nn.Module):
    """sample (batch, 6, h, w), timestep (), text (batch, tokens, text_width), aug_level () to noise (batch, 3, h, w).

    `sample` is the noisy image beside the enlarged low-resolution one. Sides are multiples of 2 ** levels: every
    DBlock halves before its ResNetBlocks, every UBlock doubles after them. Attention stands at the last level alone;
    `self_attention` says whether its keys hold the positions beside the text.
    """

    def __init__(
        self,
        *,
        block_out_channels: Sequence[int],
        num_res_blocks: Sequence[int],
        self_attention: bool,
        num_attention_heads: int = 8,
        text_width: int = 4096,
        text_heads: int = 64,
        norm_num_groups: int = 32,
        in_channels: int = 6,
        out_channels: int = 3,
    ) -> None:
        super().__init__()
        channels, groups = list(block_out_channels), norm_num_groups
        width, last = 4 * channels[0], channels[-1]
        self.frequencies = Timesteps(channels[0], flip_sin_to_cos=True, downscale_freq_shift=0)
        self.time_embedding = TimestepEmbedding(channels[0], width)
        self.aug_embedding = TimestepEmbedding(channels[0], width)
        self.text_norm = nn.LayerNorm(text_width)
        self.text_projection = nn.Linear(text_width, last)
        self.text_pooling = TextTimeEmbedding(last, width, text_heads)

        def level(index: int) -> Level:
            attention = None
            if index == len(channels) - 1:
                attention = TextAttention(last, last, num_attention_heads, groups, to_self=self_attention)
            return Level(channels[index], num_res_blocks[index], width, groups, attention)

        wider = list(zip([channels[0], *channels], channels, strict=False))
        self.conv_in = nn.Conv2d(in_channels, channels[0], 3, padding=1)
        self.shrink = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in wider)
        self.down = nn.ModuleList(level(index) for index in range(len(channels)))
        self.up = nn.ModuleList(level(index) for index in range(len(channels)))
        self.grow = nn.ModuleList(nn.Conv2d(b, a, 3, padding=1) for a, b in wider)
        self.conv_out = nn.Conv2d(channels[0], out_channels, 1)

    def forward(
        self, sample: torch.Tensor, timestep: torch.Tensor, text: torch.Tensor, aug_level: torch.Tensor
    ) -> torch.Tensor:
        text = self.text_projection(self.text_norm(text))
        embedding = self._embed(self.time_embedding, timestep, sample) + self.text_pooling(text)
        embedding = embedding + self._embed(self.aug_embedding, aug_level, sample)
        x = self.conv_in(sample)
        skips: list[torch.Tensor] = []
        for shrink, down in zip(self.shrink, self.down, strict=True):
            x = down(shrink(x), embedding, text)
            skips.append(x)
        for index in reversed(range(len(self.up))):
            if index < len(self.up) - 1:
                x = (x + skips[index]) * SKIP_SCALE
            x = self.up[index](x, embedding, text)
            x = self.grow[index](F.interpolate(x, scale_factor=2.0, mode="nearest"))
        noise: torch.Tensor = self.conv_out(x)
        return noise

    def _embed(self, layers: nn.Module, number: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        embedded: torch.Tensor = layers(self.frequencies(number.reshape(1)).to(like.dtype))
        return embedded
