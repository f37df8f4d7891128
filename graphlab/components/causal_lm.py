"""Causal language models of transformers: Llama, Mistral, Qwen, Gemma, GPT-2, Phi and others, prefill and decode."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from graphlab.components.base import (
    Component,
    ComponentFactory,
    Config,
    build_on_meta,
    checked,
    component,
    readable,
)
from graphlab.errors import UnknownArchitectureError
from graphlab.workload import Argument, Size, TensorInput, Variable, Workload

if TYPE_CHECKING:
    import torch

# Every class here decodes with a cache to the logits of a full prefill (tests/models/test_language_models.py).
CLASSES = (
    "BloomForCausalLM", "Cohere2ForCausalLM", "CohereForCausalLM", "Ernie4_5ForCausalLM", "Exaone4ForCausalLM",
    "GPT2LMHeadModel", "GPTJForCausalLM", "GPTNeoForCausalLM", "GPTNeoXForCausalLM", "Gemma2ForCausalLM",
    "Gemma3ForCausalLM", "GemmaForCausalLM", "Glm4ForCausalLM", "GraniteForCausalLM", "HeliumForCausalLM",
    "LlamaForCausalLM", "MistralForCausalLM", "NemotronForCausalLM", "OPTForCausalLM", "Olmo2ForCausalLM",
    "Olmo3ForCausalLM", "OlmoForCausalLM", "Phi3ForCausalLM", "PhiForCausalLM", "Qwen2ForCausalLM",
    "Qwen3ForCausalLM", "SeedOssForCausalLM", "SmolLM3ForCausalLM", "StableLmForCausalLM", "Starcoder2ForCausalLM",
)  # fmt: skip

TOKENS, NEW_TOKENS = 2048, 256
"""Prompt and generated tokens where nobody says: no configuration holds them."""


@dataclass(frozen=True, slots=True)
class CacheLayer:
    """The cache of one layer: key and value heads, their width, and the sliding window (None: everything)."""

    heads: int
    head_dim: int
    window: int | None


def causal_lm_workload(name: str, source: str, class_name: str, config: Config, dtype: str) -> Workload:
    """The Workload of a generation: `prefill` over `tokens`, then `new_tokens` steps of `decode`.

    Prefill gives the first new token, so `new_tokens` counts those after it. The cache starts at `tokens` and
    grows by one a step. `logits` is how many prompt positions get logits: all of them (0, what a plain forward
    computes and published counts include), or 1, what `generate` computes.
    """
    with readable(class_name):
        prefill = prefill_component(class_name, config, dtype)
        decode = decode_component(class_name, config, dtype)
    prompt = next(variable.default for variable in prefill.variables if variable.name == "tokens")
    return Workload(
        name=name,
        source=source,
        stages=(
            replace(prefill.stage("prefill"), weights="model"),
            replace(
                decode.stage("decode", steps="new_tokens", step_bindings={"cache": "tokens + step"}), weights="model"
            ),
        ),
        variables=prefill.variables,
        assumptions=(
            f"by default a prompt of {prompt} tokens and {NEW_TOKENS} new ones: no configuration holds them",
            "prefill computes logits at every prompt position, as a plain forward does; generate needs only logits=1",
        ),
    )


def prefill_component(class_name: str, config: Config, dtype: str) -> Component:
    """input_ids (batch, tokens), logits_to_keep (logits or tokens,) -> logits (batch, those, vocabulary), cache."""
    return _component(
        class_name,
        config,
        dtype,
        decode=False,
        inputs={
            "input_ids": TensorInput(("batch", "tokens"), "int64", role="tokens"),
            "logits_to_keep": TensorInput(("logits if logits > 0 else tokens",), "int64", role="condition"),
        },
    )


def decode_component(class_name: str, config: Config, dtype: str) -> Component:
    """input_ids (batch, 1), past {key_i, value_i: (batch, heads, cache, head_dim)} -> logits and the longer cache."""
    layers = cache_layers(class_name, config)
    past: dict[str, Argument] = {}
    for index, layer in enumerate(layers):
        length: Size = "cache" if layer.window is None else f"min(cache, {layer.window - 1})"
        for part in ("key", "value"):
            shape = ("batch", layer.heads, length, layer.head_dim)
            past[f"{part}_{index}"] = TensorInput(shape, dtype, role="cache")
    inputs: dict[str, Argument] = {"input_ids": TensorInput(("batch", 1), "int64", role="tokens"), "past": past}
    if any(layer.window is not None for layer in layers):
        inputs["position_ids"] = TensorInput((1, 1), "int64", role="tokens")  # moves on with every token
    return _component(class_name, config, dtype, decode=True, inputs=inputs)


def _component(
    class_name: str, config: Config, dtype: str, *, decode: bool, inputs: Mapping[str, Argument]
) -> Component:
    layers = len(cache_layers(class_name, config))
    settings = json.dumps(config, sort_keys=True, default=str)

    def build() -> torch.nn.Module:
        from graphlab.components.kv_cache import build_with_cache

        return build_on_meta(lambda: build_with_cache(class_name, config, layers, decode=decode), dtype)

    longest = _first(config, ("max_position_embeddings", "n_positions"))
    return Component(
        class_name=class_name,
        dtype=dtype,
        build=checked(class_name, build),
        inputs=inputs,
        variables=(
            Variable("batch", 1, "sequences per generation"),
            Variable("tokens", min(TOKENS, longest or TOKENS), "prompt tokens", maximum=longest),
            Variable("new_tokens", NEW_TOKENS, "decode steps: new tokens after the one that prefill gives"),
            Variable(
                "logits", 0, "prompt positions whose logits prefill computes; 0: all; `generate` needs 1", minimum=0
            ),
        ),
        identity=f"{class_name} {'decode' if decode else 'prefill'} {dtype} {settings}",
    )


def cache_layers(class_name: str, config: Config) -> tuple[CacheLayer, ...]:
    """The cache of every layer, read from the configuration; class defaults stand in for what it leaves out."""
    known = class_name in _NO_WINDOWS and all(_first(config, names) for names in _EVERYTHING)
    full = config if known else _with_defaults(class_name, config)
    layers, heads, width = (_need(class_name, full, names) for names in (_LAYERS, _HEADS, _WIDTH))
    shared = 1 if full.get("multi_query") and not full.get("new_decoder_architecture") else heads
    kv_heads = _first(full, _KV_HEADS) or shared
    head_dim = _first(full, ("head_dim",)) or width // heads
    return tuple(CacheLayer(kv_heads, head_dim, window) for window in _windows(full, layers))


_LAYERS = ("num_hidden_layers", "n_layer", "num_layers")
_HEADS = ("num_attention_heads", "n_head", "num_heads")
_WIDTH = ("hidden_size", "n_embd", "d_model")
_KV_HEADS = ("num_key_value_heads", "num_kv_heads")
_EVERYTHING = (_LAYERS, _HEADS, _WIDTH, _KV_HEADS, ("head_dim",))
_NO_WINDOWS = ("LlamaForCausalLM",)
"""Classes that need not be asked about layer kinds, so that a complete configuration is read without importing them."""


def _windows(config: Config, layers: int) -> list[int | None]:
    kinds = config.get("layer_types")
    window = config.get("sliding_window")
    if kinds is None:
        return [window] * layers
    strange = set(kinds) - {"full_attention", "sliding_attention"}
    if strange:
        raise UnknownArchitectureError(
            f"layers of kind {', '.join(sorted(strange))} keep no key-value cache that graphlab knows",
            hint="write a function that returns (module, args, kwargs) and pass path/file.py:function",
        )
    return [window if kind == "sliding_attention" else None for kind in kinds]


def _with_defaults(class_name: str, config: Config) -> dict[str, Any]:
    """`config` as the class itself completes it; imports transformers."""
    import transformers

    complete = getattr(transformers, class_name).config_class.from_dict(dict(config))
    found = dict(complete.to_dict())
    # Layer kinds are worked out by the class and may not be written to the file.
    found["layer_types"] = getattr(complete, "layer_types", None)
    found["sliding_window"] = getattr(complete, "sliding_window", None)
    return found


def _first(config: Config, names: tuple[str, ...]) -> int | None:
    return next((int(config[name]) for name in names if config.get(name) is not None), None)


def _need(class_name: str, config: Config, names: tuple[str, ...]) -> int:
    found = _first(config, names)
    if found is None:
        raise UnknownArchitectureError(f"the configuration of {class_name} has no {names[0]}")
    return found


def _factory(class_name: str) -> ComponentFactory:
    def factory(config: Config, dtype: str) -> Component:
        return prefill_component(class_name, config, dtype)

    return factory


for _name in CLASSES:
    component(_name)(_factory(_name))
