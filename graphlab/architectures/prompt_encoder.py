"""A small contextual text encoder: what a word comes to depends on the words beside it."""

from __future__ import annotations

import torch
from torch import nn

from graphlab.errors import GraphlabError

WIDTH = 32


class TextEncoder(nn.Module):
    """A transformer over token ids (prompts, tokens) that gives (prompts, tokens, `width`).

    Padding is a token like any other, as it is in CLIP: what a prompt does not use still carries its meaning.
    GraphlabError for a `width` that the `heads` do not divide.
    """

    def __init__(self, vocabulary: int, tokens: int, *, width: int = WIDTH, layers: int = 2, heads: int = 4) -> None:
        super().__init__()
        if width % heads:
            raise GraphlabError(f"a width of {width} in {heads} heads")
        self.tokens = tokens
        self.words = nn.Embedding(vocabulary, width)
        self.places = nn.Parameter(0.1 * torch.randn(tokens, width))
        self.layers = nn.ModuleList(_Layer(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Encoded prompts (prompts, tokens, width) of `ids` (prompts, tokens)."""
        if ids.ndim != 2 or ids.shape[1] != self.tokens:
            raise GraphlabError(f"token ids of shape {tuple(ids.shape)}", hint=f"expected (prompts, {self.tokens})")
        state = self.words(ids) + self.places
        for layer in self.layers:
            state = layer(state)
        made: torch.Tensor = self.norm(state)
        return made


class _Layer(nn.Module):
    """Attention over all tokens, then a feed-forward part, each behind a norm."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.read, self.write = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        prompts, tokens, width = state.shape
        split = self.read(self.before(state)).view(prompts, tokens, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value)
        state = state + self.write(mixed.transpose(1, 2).reshape(prompts, tokens, width))
        made: torch.Tensor = state + self.narrow(nn.functional.gelu(self.wide(self.between(state))))
        return made
