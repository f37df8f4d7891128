"""Parti (Yu et al. 2022, arXiv 2206.10789): an encoder-decoder that writes an image token by token.

The layers are BART's, the encoder-decoder of transformers that runs scaled_dot_product_attention: text in the
encoder, image codes in the decoder. They are driven one by one with the cache made inside `forward`, because
`EncoderDecoderCache` is no tensor and does not export as an argument, and without masks, because nothing here is
padded: causality is the flag of the fused operator.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn


class PartiEncoder(nn.Module):
    """The text encoder: token and position embeddings, bidirectional layers."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        from transformers.models.bart.modeling_bart import BartEncoder

        made = bart_config(config, int(config["vocab_size"]), int(config["text_tokens"]))
        self.encoder: Any = BartEncoder(made)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """input_ids (batch, tokens) -> states (batch, tokens, d_model)."""
        hidden: torch.Tensor = self.encoder.embed_tokens(input_ids)
        hidden = self.encoder.layernorm_embedding(hidden + self.encoder.embed_positions(input_ids))
        for layer in self.encoder.layers:
            hidden = layer(hidden, None)
        return hidden


class PartiDecoder(nn.Module):
    """The image decoder: code and position embeddings, causal layers with cross-attention, a head over the codes.

    The head reads the embedding of the codes, tied as BART's is. The embedding has one row more than there are
    codes, for the token that starts an image and is never predicted.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        from transformers.models.bart.modeling_bart import BartDecoder

        made = bart_config(config, int(config["codes"]) + 1, int(config["image_tokens"]))
        self.decoder: Any = BartDecoder(made)
        self.codes = int(config["codes"])

    def last_logits(self, input_ids: torch.Tensor, seen: int, text: tuple[torch.Tensor, ...], cache: Any) -> Any:
        """Logits (batch, 1, codes) after `input_ids` (batch, new), which follow `seen` tokens held in `cache`.

        `text` is what layer i attends to: a tensor a layer, the encoder's states, or where `cache` has the
        text's keys and values already, any tensor at all, since the layer only asks whether there is one.
        """
        positions = torch.arange(input_ids.shape[1], device=input_ids.device) + seen
        hidden = self.decoder.embed_tokens(input_ids)
        hidden = hidden + self.decoder.embed_positions(input_ids, position_ids=positions)
        hidden = self.decoder.layernorm_embedding(hidden)
        for layer, states in zip(self.decoder.layers, text, strict=True):
            hidden = layer(hidden, None, encoder_hidden_states=states, cache=cache, use_cache=cache is not None)
        return F.linear(hidden[:, -1:], self.decoder.embed_tokens.weight[: self.codes])


class PartiPrefill(PartiDecoder):
    """The decoder's first call: the start token, and the text's keys and values for all later calls."""

    def forward(self, input_ids: torch.Tensor, encoder_hidden_states: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """input_ids (batch, 1), encoder_hidden_states (batch, tokens, d_model) -> logits (batch, 1, codes), caches.

        The caches are key_0, value_0, key_1, ... (batch, heads, 1, head width) of the start token, then those
        of the text (batch, heads, tokens, head width).
        """
        from transformers import DynamicCache, EncoderDecoderCache

        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        logits = self.last_logits(input_ids, 0, (encoder_hidden_states,) * len(self.decoder.layers), cache)
        return (logits, *_tensors(cache.self_attention_cache), *_tensors(cache.cross_attention_cache))


class PartiDecode(PartiDecoder):
    """The decoder's other calls: one token, the keys and values of the tokens before it, and those of the text."""

    def forward(
        self, input_ids: torch.Tensor, past: Mapping[str, torch.Tensor], text: Mapping[str, torch.Tensor]
    ) -> tuple[torch.Tensor, ...]:
        """input_ids (batch, 1) -> logits (batch, 1, codes) and the cache of the tokens, one longer.

        past {key_i, value_i: (batch, heads, cache, head width)}, text {key_i, value_i: (batch, heads, tokens,
        head width)}.
        """
        from transformers import EncoderDecoderCache

        layers = len(self.decoder.layers)
        cache = EncoderDecoderCache(_cache(past, layers), _cache(text, layers))
        present = tuple(text[f"key_{index}"] for index in range(layers))
        logits = self.last_logits(input_ids, past["key_0"].shape[-2], present, cache)
        return (logits, *_tensors(cache.self_attention_cache))


class PartiDecodeWithoutCache(PartiDecoder):
    """The decoder without a cache: every call reads the whole prefix and projects the text anew."""

    def forward(self, input_ids: torch.Tensor, encoder_hidden_states: torch.Tensor) -> torch.Tensor:
        """input_ids (batch, prefix), encoder_hidden_states (batch, tokens, d_model) -> logits (batch, 1, codes)."""
        logits: torch.Tensor = self.last_logits(input_ids, 0, (encoder_hidden_states,) * len(self.decoder.layers), None)
        return logits


def bart_config(config: Mapping[str, Any], vocabulary: int, positions: int) -> Any:
    """BartConfig of one half of the model: `vocabulary` rows of embedding and `positions` positions."""
    from transformers import BartConfig

    heads, hidden = int(config["heads"]), int(config["d_hidden"])
    made = BartConfig(
        vocab_size=vocabulary,
        max_position_embeddings=positions,
        d_model=int(config["d_model"]),
        encoder_layers=int(config["encoder_layers"]),
        decoder_layers=int(config["decoder_layers"]),
        encoder_ffn_dim=hidden,
        decoder_ffn_dim=hidden,
        encoder_attention_heads=heads,
        decoder_attention_heads=heads,
        activation_function="gelu",
    )
    made._attn_implementation = "sdpa"
    return made


def _cache(past: Mapping[str, torch.Tensor], layers: int) -> Any:
    """A cache that holds what earlier calls left, without the copy that `update` would make."""
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer

    cache = DynamicCache()
    for index in range(layers):
        layer = DynamicLayer()
        layer.keys, layer.values = past[f"key_{index}"], past[f"value_{index}"]
        layer.device = layer.keys.device
        layer.is_initialized = True
        cache.layers.append(layer)
    return cache


def _tensors(cache: Any) -> Iterator[torch.Tensor]:
    for layer in cache.layers:
        yield layer.keys
        yield layer.values
