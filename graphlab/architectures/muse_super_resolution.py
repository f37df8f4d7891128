"""Muse's super-resolution model: from 16 x 16 to 64 x 64 tokens, with multi-axis self-attention.

Source: Chang et al., "Muse: Text-To-Image Generation via Masked Generative Transformers" (arXiv 2301.00704), section
2.4 and table 6; the attention after Zhao et al., "Improved Transformer for High-Resolution GANs" (arXiv 2106.07631),
which Muse cites for it. What the papers leave open is listed in `graphlab.models.muse`. Imports torch: import it inside
`build` only.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from diffusers.models.attention import FeedForward
from diffusers.models.attention_processor import Attention
from torch import nn

from graphlab.architectures.muse_base import TokenEmbedding, TokenHead, transformer_block


class MultiAxisAttention(nn.Module):
    """x (batch, rows, columns, hidden) to the same shape; rows and columns are multiples of `block`.

    Half of the heads attend within blocks of block x block positions, the other half across blocks: each position to
    those that stand where it stands in their own block.
    """

    def __init__(self, hidden_size: int, heads: int, block: int) -> None:
        super().__init__()
        self.heads, self.block = heads, block
        self.query = nn.Linear(hidden_size, hidden_size, bias=False)
        self.key = nn.Linear(hidden_size, hidden_size, bias=False)
        self.value = nn.Linear(hidden_size, hidden_size, bias=False)
        self.out = nn.Linear(hidden_size, hidden_size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query, key, value = (layer(x).chunk(2, dim=-1) for layer in (self.query, self.key, self.value))
        within = self._attend(query[0], key[0], value[0], (0, 1, 3, 2, 4, 5))
        across = self._attend(query[1], key[1], value[1], (0, 2, 4, 1, 3, 5))
        mixed: torch.Tensor = self.out(torch.cat((within, across), dim=-1))
        return mixed

    def _attend(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, order: tuple[int, ...]
    ) -> torch.Tensor:
        """Attention of (batch, rows, columns, half) in groups; the result has the same shape.

        Split into blocks the axes are (batch, block row, row in it, block column, column in it, half); `order` puts
        the two that tell the groups apart second and third, and the two that a group attends over fourth and fifth.
        """
        whole = query.shape
        # -1 and not rows // block: with the quotient a symbolic capture demands a batch above 1
        query, key, value = (
            torch.unflatten(torch.unflatten(part, 2, (-1, self.block)), 1, (-1, self.block)).permute(order)
            for part in (query, key, value)
        )
        shape, back = query.shape, [order.index(axis) for axis in range(len(order))]
        query, key, value = (self._split(part.flatten(3, 4).flatten(0, 2)) for part in (query, key, value))
        read = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(shape)
        return read.permute(back).reshape(whole)

    def _split(self, tokens: torch.Tensor) -> torch.Tensor:
        return torch.unflatten(tokens, -1, (self.heads // 2, -1)).transpose(1, 2)


class MultiAxisLayer(nn.Module):
    """x (batch, rows, columns, hidden) reads itself, then context (batch, tokens, hidden), then goes through an MLP."""

    def __init__(self, hidden_size: int, heads: int, mlp_size: int, block: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(hidden_size)
        self.attention = MultiAxisAttention(hidden_size, heads, block)
        self.norm2 = nn.LayerNorm(hidden_size)
        self.cross_attention = Attention(
            hidden_size, cross_attention_dim=hidden_size, heads=heads, dim_head=hidden_size // heads
        )
        self.norm3 = nn.LayerNorm(hidden_size)
        self.mlp = FeedForward(hidden_size, activation_fn="gelu", inner_dim=mlp_size)

    def forward(self, x: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.norm1(x))
        read = self.cross_attention(self.norm2(x).flatten(1, 2), encoder_hidden_states=context)
        x = x + read.reshape(x.shape)
        mixed: torch.Tensor = x + self.mlp(self.norm3(x))
        return mixed


class MuseSuperResolution(nn.Module):
    """tokens (batch, rows, columns), low_res_tokens (batch, r, c), text (batch, tokens, text_width) to logits.

    Logits are (batch, rows x columns, codebook). The low-resolution tokens go through `encoder_layers` of
    self-attention; the high-resolution ones cross-attend to [low-resolution ; text]. `sample_size` and
    `low_res_sample_size` are the largest numbers of rows and of columns.
    """

    def __init__(
        self,
        *,
        hidden_size: int,
        num_layers: int,
        encoder_layers: int,
        num_attention_heads: int,
        mlp_size: int,
        codebook_size: int,
        text_width: int,
        sample_size: int,
        low_res_sample_size: int,
        block_size: int,
    ) -> None:
        super().__init__()
        heads = num_attention_heads
        self.low_res_embedding = TokenEmbedding(codebook_size, hidden_size, low_res_sample_size)
        self.encoder = nn.ModuleList(
            transformer_block(hidden_size, heads, mlp_size, cross=False) for _ in range(encoder_layers)
        )
        self.text_projection = nn.Linear(text_width, hidden_size)
        self.embedding = TokenEmbedding(codebook_size, hidden_size, sample_size)
        self.layers = nn.ModuleList(MultiAxisLayer(hidden_size, heads, mlp_size, block_size) for _ in range(num_layers))
        self.head = TokenHead(hidden_size, codebook_size)

    def forward(self, tokens: torch.Tensor, low_res_tokens: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        low = self.low_res_embedding(low_res_tokens).flatten(1, 2)
        for layer in self.encoder:
            low = layer(low)
        context = torch.cat((low, self.text_projection(text)), dim=1)
        hidden = self.embedding(tokens)
        for layer in self.layers:
            hidden = layer(hidden, context)
        logits: torch.Tensor = self.head(hidden.flatten(1, 2))
        return logits
