"""A language model used as a text encoder. Imports torch: import it inside `build` only."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from graphlab.components.base import Config

LAYERS_SKIPPED = 2
"""num_hidden_layers_to_skip of HunyuanVideoPipeline._get_llama_prompt_embeds."""


class HiddenStates(nn.Module):
    """The hidden states a text-to-video model conditions on, and the last ones, which are computed as well."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model: Any = model

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """input_ids, attention_mask (batch, tokens) -> two tensors (batch, tokens, width)."""
        output = self.model(
            input_ids=input_ids, attention_mask=attention_mask, output_hidden_states=True, use_cache=False
        )
        return output.hidden_states[-(LAYERS_SKIPPED + 1)], output.last_hidden_state


def build_encoder(config: Config) -> nn.Module:
    """transformers' LlamaModel under `config`, wrapped; call it under the device and dtype wanted."""
    from transformers import LlamaConfig, LlamaModel

    return HiddenStates(LlamaModel(LlamaConfig.from_dict(dict(config))))
