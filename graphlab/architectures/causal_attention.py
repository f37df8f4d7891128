"""Causal self-attention for the transformer blocks of diffusers, whose own processors know masks only."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F


class CausalProcessor:
    """An attention processor that leaves causality to the flag of the fused operator, not to a mask in memory."""

    def __call__(
        self,
        attn: Any,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """hidden_states (batch, tokens, width) -> the same shape; text and masks have no place here."""
        if encoder_hidden_states is not None or attention_mask is not None:
            raise ValueError("causal self-attention takes neither other states nor a mask")
        query, key, value = (
            projection(hidden_states).unflatten(-1, (attn.heads, -1)).transpose(1, 2)
            for projection in (attn.to_q, attn.to_k, attn.to_v)
        )
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        out: torch.Tensor = attn.to_out[0](mixed.transpose(1, 2).flatten(-2))
        return out
