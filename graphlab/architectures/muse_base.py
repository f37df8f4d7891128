"""Muse's base model: a transformer over image tokens that reads text by cross-attention and predicts every token.

Source: Chang et al., "Muse: Text-To-Image Generation via Masked Generative Transformers" (arXiv 2301.00704), sections
2.1 and 2.3, table 4. What the paper leaves open is listed in `graphlab.models.muse`. Imports torch: import it inside
`build` only.
"""

from __future__ import annotations

import torch
from diffusers.models.attention import BasicTransformerBlock
from torch import nn


class TokenEmbedding(nn.Module):
    """tokens (batch, rows, columns), the [MASK] token numbered `codebook_size`, to (batch, rows, columns, hidden).

    Positions are learned and two-dimensional: an embedding of the row plus one of the column, `side` of each.
    """

    def __init__(self, codebook_size: int, hidden_size: int, side: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(codebook_size + 1, hidden_size)
        self.rows = nn.Embedding(side, hidden_size)
        self.columns = nn.Embedding(side, hidden_size)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        rows = self.rows(torch.arange(tokens.shape[1], device=tokens.device))
        columns = self.columns(torch.arange(tokens.shape[2], device=tokens.device))
        embedded: torch.Tensor = self.tokens(tokens) + rows[:, None] + columns[None]
        return embedded


class TokenHead(nn.Sequential):
    """(batch, positions, hidden) to logits (batch, positions, codebook): a norm, then an MLP of one hidden layer."""

    def __init__(self, hidden_size: int, codebook_size: int) -> None:
        super().__init__(
            nn.LayerNorm(hidden_size),
            nn.Linear(hidden_size, hidden_size),
            nn.GELU(),
            nn.Linear(hidden_size, codebook_size),
        )


def transformer_block(hidden_size: int, heads: int, mlp_size: int, *, cross: bool) -> BasicTransformerBlock:
    """Self-attention, cross-attention where `cross`, and an MLP, each behind a norm; projections have no bias."""
    return BasicTransformerBlock(
        hidden_size,
        heads,
        hidden_size // heads,
        cross_attention_dim=hidden_size if cross else None,
        activation_fn="gelu",
        ff_inner_dim=mlp_size,
    )


class MuseTransformer(nn.Module):
    """tokens (batch, rows, columns) and text (batch, tokens, text_width) to logits (batch, rows x columns, codebook).

    Every call sees all positions, masked or not; `sample_size` is the largest number of rows and of columns.
    """

    def __init__(
        self,
        *,
        hidden_size: int,
        num_layers: int,
        num_attention_heads: int,
        mlp_size: int,
        codebook_size: int,
        text_width: int,
        sample_size: int,
    ) -> None:
        super().__init__()
        self.embedding = TokenEmbedding(codebook_size, hidden_size, sample_size)
        self.text_projection = nn.Linear(text_width, hidden_size)
        self.layers = nn.ModuleList(
            transformer_block(hidden_size, num_attention_heads, mlp_size, cross=True) for _ in range(num_layers)
        )
        self.head = TokenHead(hidden_size, codebook_size)

    def forward(self, tokens: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        hidden = self.embedding(tokens).flatten(1, 2)
        text = self.text_projection(text)
        for layer in self.layers:
            hidden = layer(hidden, encoder_hidden_states=text)
        logits: torch.Tensor = self.head(hidden)
        return logits
