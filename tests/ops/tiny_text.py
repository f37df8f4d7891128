"""Tiny text encoders and causal language models, with and without a cache."""

from __future__ import annotations

from typing import Any

import torch

from tests.ops.tiny_case import case, ints, rand


def _text_config() -> dict[str, Any]:
    return {
        "hidden_size": 8,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "vocab_size": 32,
        "max_position_embeddings": 16,
    }


@case
def clip_text() -> tuple[torch.nn.Module, dict[str, Any]]:
    from transformers import CLIPTextConfig, CLIPTextModel

    return CLIPTextModel(CLIPTextConfig(**_text_config())), {"input_ids": ints(2, 7), "return_dict": False}


@case
def clip_text_projection() -> tuple[torch.nn.Module, dict[str, Any]]:
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    config = CLIPTextConfig(**_text_config(), hidden_act="gelu", projection_dim=8, attn_implementation="eager")
    module = CLIPTextModelWithProjection(config)
    return module, {"input_ids": ints(2, 7), "attention_mask": ints(2, 7), "return_dict": False}


@case
def t5_encoder() -> tuple[torch.nn.Module, dict[str, Any]]:
    from transformers import T5Config, T5EncoderModel

    config = T5Config(
        d_model=8, d_kv=4, d_ff=16, num_layers=1, num_heads=2, vocab_size=32, feed_forward_proj="gated-gelu"
    )
    return T5EncoderModel(config), {"input_ids": ints(2, 7), "attention_mask": ints(2, 7), "return_dict": False}


class Cached(torch.nn.Module):
    """A causal language model with its cache as flat tensors."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, past: list[torch.Tensor]) -> list[torch.Tensor]:
        from transformers import DynamicCache

        cache = DynamicCache()
        for layer in range(len(past) // 2):
            cache.update(past[2 * layer], past[2 * layer + 1], layer)
        result = self.model(input_ids=input_ids, past_key_values=cache, use_cache=True)
        return [result.logits, *(t for layer in result.past_key_values.layers for t in (layer.keys, layer.values))]


def _decoder(kind: str, eager: bool = False, **config: Any) -> torch.nn.Module:
    import transformers

    base = {**_text_config(), "num_key_value_heads": 1, **config}
    made = getattr(transformers, f"{kind}Config")(**base, attn_implementation="eager" if eager else "sdpa")
    module: torch.nn.Module = getattr(transformers, f"{kind}ForCausalLM")(made)
    return module


@case
def llama_prefill() -> tuple[torch.nn.Module, dict[str, Any]]:
    return _decoder("Llama"), {"input_ids": ints(2, 7), "use_cache": False, "return_dict": False}


@case
def llama_decode() -> tuple[torch.nn.Module, dict[str, Any]]:
    return Cached(_decoder("Llama")), {"input_ids": ints(2, 1), "past": [rand(2, 1, 5, 4), rand(2, 1, 5, 4)]}


@case
def llama_eager() -> tuple[torch.nn.Module, dict[str, Any]]:
    return _decoder("Llama", eager=True), {
        "input_ids": ints(2, 7),
        "attention_mask": ints(2, 7),
        "use_cache": False,
        "return_dict": False,
    }


@case
def qwen2() -> tuple[torch.nn.Module, dict[str, Any]]:
    return Cached(_decoder("Qwen2")), {"input_ids": ints(2, 2), "past": [rand(2, 1, 5, 4), rand(2, 1, 5, 4)]}


@case
def gemma2() -> tuple[torch.nn.Module, dict[str, Any]]:
    module = _decoder("Gemma2", eager=True, head_dim=4, num_hidden_layers=2)
    return module, {"input_ids": ints(2, 7), "use_cache": False, "return_dict": False}


@case
def mistral() -> tuple[torch.nn.Module, dict[str, Any]]:
    return _decoder("Mistral", sliding_window=4), {"input_ids": ints(2, 7), "use_cache": False, "return_dict": False}


@case
def gpt2() -> tuple[torch.nn.Module, dict[str, Any]]:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(n_embd=8, n_layer=1, n_head=2, vocab_size=32, n_positions=16)
    return GPT2LMHeadModel(config), {"input_ids": ints(2, 7), "use_cache": False, "return_dict": False}
