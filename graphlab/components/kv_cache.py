"""Causal language models with their key-value cache as plain tensors: what `generate` runs, as two modules.

`Prefill` reads a prompt and makes the cache, `Decode` reads one token and the cache and returns it one longer.
Both build the cache object of transformers inside `forward`, so that a captured graph holds tensors only.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

ATTENTION = "graphlab"
"""The name under which transformers finds scaled_dot_product_attention with the masks `generate` makes."""


class Prefill(nn.Module):
    """A causal language model over a prompt: logits, then key and value of every layer."""

    def __init__(self, model: nn.Module, layers: int) -> None:
        super().__init__()
        self.model = model
        self.layers = layers

    def forward(self, input_ids: torch.Tensor, logits_to_keep: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """input_ids (batch, tokens), logits_to_keep (logits,) -> logits (batch, logits, vocabulary), cache.

        The cache comes as key_0, value_0, key_1, ..., each (batch, key heads, tokens, head width).
        `logits_to_keep` are positions in the prompt; `generate` keeps the last one only.
        """
        from transformers import DynamicCache

        cache = DynamicCache(config=self.model.config)
        extra = {"logits_to_keep": logits_to_keep} if _accepts(self.model, "logits_to_keep") else {}
        return _call(self.model, self.layers, cache, {"input_ids": input_ids, **extra})


class Decode(nn.Module):
    """A causal language model over one token and the cache of those before it."""

    def __init__(self, model: nn.Module, layers: int) -> None:
        super().__init__()
        self.model = model
        self.layers = layers

    def forward(
        self, input_ids: torch.Tensor, past: Mapping[str, torch.Tensor], position_ids: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, ...]:
        """input_ids (batch, 1), past {key_i, value_i: (batch, key heads, cache, head width)} -> logits, cache.

        `position_ids` (1, 1) is the token's position; needed only where a sliding window drops old entries,
        elsewhere it is the length of the cache. Logits are (batch, 1, vocabulary).
        """
        from transformers import DynamicCache

        cache = DynamicCache(config=self.model.config)
        everything = (past[f"key_{i}"].shape[-2] for i in range(self.layers) if _window(cache, i) is None)
        seen = next(everything, None)
        for index in range(self.layers):
            _fill(cache.layers[index], past[f"key_{index}"], past[f"value_{index}"], seen)
        inputs: dict[str, Any] = {"input_ids": input_ids}
        if position_ids is not None:
            inputs["position_ids"] = position_ids
        return _call(self.model, self.layers, cache, inputs)


def build_with_cache(class_name: str, config: Mapping[str, Any], layers: int, *, decode: bool) -> nn.Module:
    """Transformers' `class_name` under `config`, wrapped; call it under the device and dtype wanted."""
    import transformers

    kind = getattr(transformers, class_name)
    _register_attention()
    configuration = kind.config_class.from_dict(dict(config))
    configuration._attn_implementation = "eager" if _softcap(config) or not kind._supports_sdpa else ATTENTION
    model = kind(configuration)
    return Decode(model, layers) if decode else Prefill(model, layers)


def _call(model: nn.Module, layers: int, cache: Any, inputs: dict[str, Any]) -> tuple[torch.Tensor, ...]:
    # transformers renamed the argument in 5.24.
    name = "cache" if _accepts(model, "cache") else "past_key_values"
    logits = model(**inputs, **{name: cache}, use_cache=True, return_dict=True).logits
    return (logits, *(tensor for layer in cache.layers[:layers] for tensor in (layer.keys, layer.values)))


def _accepts(model: nn.Module, parameter: str) -> bool:
    return parameter in inspect.signature(model.forward).parameters


def _window(cache: Any, index: int) -> int | None:
    window: int | None = getattr(cache.layers[index], "sliding_window", None)
    return window


def _fill(layer: Any, keys: torch.Tensor, values: torch.Tensor, seen: int | None) -> None:
    """Put what earlier calls left into a cache layer, without the copy that `update` would make."""
    layer.keys, layer.values = keys, values
    layer.device = keys.device
    layer.is_initialized = True
    if hasattr(layer, "cumulative_length"):
        layer.cumulative_length = keys.shape[-2] if seen is None else seen


def _softcap(config: Mapping[str, Any]) -> bool:
    """Whether attention scores are capped, which scaled_dot_product_attention cannot do (Gemma 2)."""
    return config.get("attn_logit_softcapping") is not None


def _register_attention() -> None:
    """Teach transformers `ATTENTION`: its own SDPA, and the masks it makes when it is not being exported.

    During an export transformers always writes the causal mask out, because it cannot know that the graph
    will only be used as a prefill. Here it is: the prompt starts at position 0 and decoding adds one token, so
    the mask is left to the `is_causal` flag exactly where `generate` leaves it.
    """
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    AttentionInterface.register(ATTENTION, sdpa_attention_forward)
    AttentionMaskInterface.register(ATTENTION, runtime_mask)


def runtime_mask(
    batch_size: int,
    q_length: int,
    kv_length: int,
    local_size: int | None = None,
    attention_mask: torch.Tensor | None = None,
    allow_is_causal_skip: bool = True,
    **kwargs: Any,
) -> torch.Tensor | None:
    """The (batch, 1, query tokens, key tokens) mask, or None where the `is_causal` flag says the same.

    Source: transformers/masking_utils.py, `_ignore_causal_mask_sdpa` without its first condition (exporting).
    """
    from transformers.masking_utils import sdpa_mask

    plain = allow_is_causal_skip and attention_mask is None
    if plain and (local_size is None or kv_length < local_size) and (q_length == 1 or kv_length == q_length):
        return None
    mask: torch.Tensor | None = sdpa_mask(
        batch_size=batch_size,
        q_length=q_length,
        kv_length=kv_length,
        local_size=local_size,
        attention_mask=attention_mask,
        allow_is_causal_skip=False,
        **kwargs,
    )
    return mask
