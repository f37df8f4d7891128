"""Phenaki's MaskGIT (Villegas et al. 2022, arXiv 2210.02399): all video tokens at once, masked ones among them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn


class PhenakiTransformer(nn.Module):
    """Token and position embeddings; blocks of self-attention, cross-attention to text and an MLP; a head.

    The embedding has one row more than there are codes: the mask. Keys and values of the text are projected from
    the encoder's own width.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        from diffusers.models.attention import BasicTransformerBlock

        width, heads = int(config["hidden_size"]), int(config["heads"])
        self.embedding = nn.Embedding(int(config["codes"]) + 1, width)
        self.positions = nn.Parameter(torch.zeros(1, int(config["positions"]), width))
        self.blocks = nn.ModuleList(
            BasicTransformerBlock(
                width,
                heads,
                width // heads,
                cross_attention_dim=int(config["text_width"]),
                activation_fn="gelu",
                ff_inner_dim=int(config["intermediate_size"]),
            )
            for _ in range(int(config["layers"]))
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, int(config["codes"]), bias=False)

    def forward(self, tokens: torch.Tensor, encoder_hidden_states: torch.Tensor) -> torch.Tensor:
        """tokens (batch, video tokens), encoder_hidden_states (batch, tokens, text width) -> logits over the codes."""
        hidden = self.embedding(tokens) + self.positions[:, : tokens.shape[1]]
        for block in self.blocks:
            hidden = block(hidden, encoder_hidden_states=encoder_hidden_states)
        logits: torch.Tensor = self.head(self.norm(hidden))
        return logits
