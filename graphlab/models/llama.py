"""Llama 2: prefill over a prompt, then one decode step a token with a growing key-value cache."""

from __future__ import annotations

from functools import partial

from graphlab.components.base import Config
from graphlab.components.causal_lm import causal_lm_workload
from graphlab.models.registry import Model
from graphlab.workload import Workload

# Source: meta-llama/Llama-2-7b-hf, config.json
LLAMA_2_7B: Config = {
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "head_dim": 128,  # hidden_size / num_attention_heads; the file leaves it to the class
    "vocab_size": 32000,
    "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": False,
}

# Source: meta-llama/Llama-2-13b-hf, config.json
LLAMA_2_13B: Config = {
    **LLAMA_2_7B,
    "hidden_size": 5120,
    "intermediate_size": 13824,
    "num_hidden_layers": 40,
    "num_attention_heads": 40,
    "num_key_value_heads": 40,
}

# Source: meta-llama/Llama-2-70b-hf, config.json; 64 query heads share 8 key-value heads
LLAMA_2_70B: Config = {
    **LLAMA_2_7B,
    "hidden_size": 8192,
    "intermediate_size": 28672,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
}

TINY_7B: Config = {
    **LLAMA_2_7B,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "head_dim": 8,
    "vocab_size": 64,
    "max_position_embeddings": 256,
}
TINY_13B: Config = {**TINY_7B, "num_hidden_layers": 3}
TINY_70B: Config = {**TINY_7B, "num_key_value_heads": 2}


def llama(name: str, config: Config, dtype: str = "float16") -> Workload:
    """`prefill` (2048 tokens unless bound) and `decode` (256 steps), in float16 as the checkpoints are."""
    return causal_lm_workload(name, name, "LlamaForCausalLM", config, dtype)


def _model(name: str, text: str, config: Config, aliases: tuple[str, ...], dtype: str = "float16") -> Model:
    return Model(name, text, partial(llama, name, config, dtype), aliases, kind="language")


MODELS = (
    _model("llama-2-7b", "language model, prefill and decode with a cache", LLAMA_2_7B, ("llama", "llama2-7b")),
    _model("llama-2-13b", "language model, prefill and decode with a cache", LLAMA_2_13B, ("llama2-13b",)),
    _model("llama-2-70b", "language model with grouped-query attention", LLAMA_2_70B, ("llama2-70b",)),
    _model("llama-2-7b-tiny", "Llama 2's topology, narrow", TINY_7B, (), "float32"),
    _model("llama-2-13b-tiny", "Llama 2's topology, narrow", TINY_13B, (), "float32"),
    _model("llama-2-70b-tiny", "Llama 2's topology with shared key heads, narrow", TINY_70B, (), "float32"),
)
