"""Real classes: diffusers' Attention with its plain processors, transformers' layers with eager attention."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tests.attention_corpus.spelling import B, H, K, Q, additive, keep, normal, spelling

WIDTH, HEADS = 24, 3


def _diffusers(processor: str, *arguments: int, **options: Any) -> nn.Module:
    """diffusers' Attention of 3 heads of width 8 with a processor of that class."""
    from diffusers.models import attention_processor

    settings = {"query_dim": WIDTH, "heads": HEADS, "dim_head": 8, "dropout": 0.1, **options}
    return attention_processor.Attention(**settings, processor=getattr(attention_processor, processor)(*arguments))


def _states(dtype: torch.dtype = torch.float32) -> tuple[Tensor]:
    return (normal(B, Q, WIDTH, dtype=dtype),)


def _states_and_text() -> tuple[Tensor, Tensor]:
    return normal(B, Q, WIDTH), normal(B, K, 10)


@spelling("libraries", _states)
def diffusers_self() -> nn.Module:
    return _diffusers("AttnProcessor")


@spelling("libraries", _states_and_text)
def diffusers_cross() -> nn.Module:
    return _diffusers("AttnProcessor", cross_attention_dim=10)


@spelling("libraries", lambda: (*_states_and_text(), additive(B, 1, K)))
def diffusers_cross_masked() -> nn.Module:
    return _diffusers("AttnProcessor", cross_attention_dim=10)


@spelling("libraries", lambda: (normal(B, WIDTH, 3, 5),))
def diffusers_autoencoder_block() -> nn.Module:
    return _diffusers("AttnProcessor", heads=1, dim_head=WIDTH, norm_num_groups=3, bias=True, residual_connection=True)


@spelling("libraries", lambda: _states(torch.bfloat16), dtype=torch.bfloat16)
def diffusers_upcast_softmax() -> nn.Module:
    return _diffusers("AttnProcessor", upcast_softmax=True)


@spelling("libraries", lambda: _states(torch.bfloat16), dtype=torch.bfloat16)
def diffusers_upcast_attention() -> nn.Module:
    return _diffusers("AttnProcessor", upcast_attention=True)


@spelling("libraries", lambda: (normal(B, WIDTH, 3, 5), normal(B, K, 10)))
def diffusers_added_keys() -> nn.Module:
    return _diffusers("AttnAddedKVProcessor", added_kv_proj_dim=10, norm_num_groups=3, bias=True)


@spelling("libraries", lambda: (normal(B, WIDTH, 3, 5), normal(B, K, 10)))
def diffusers_added_keys_only_cross() -> nn.Module:
    return _diffusers(
        "AttnAddedKVProcessor", added_kv_proj_dim=10, only_cross_attention=True, norm_num_groups=3, bias=True
    )


@spelling("libraries", _states, attentions=3)
def diffusers_sliced() -> nn.Module:
    return _diffusers("SlicedAttnProcessor", 2)


@spelling("libraries", lambda: (*_states_and_text(), additive(B, 1, K)), attentions=6)
def diffusers_sliced_by_one_masked() -> nn.Module:
    return _diffusers("SlicedAttnProcessor", 1, cross_attention_dim=10)


@spelling("libraries", lambda: (normal(B, WIDTH, 3, 5), normal(B, K, 10)), attentions=3)
def diffusers_sliced_added_keys() -> nn.Module:
    return _diffusers("SlicedAttnAddedKVProcessor", 2, added_kv_proj_dim=10, norm_num_groups=3, bias=True)


class _First(nn.Module):
    """A module called with fixed keyword arguments, of whose results only the first leaves: nobody reads the maps."""

    def __init__(self, inner: nn.Module, **options: Any) -> None:
        super().__init__()
        self.inner, self.options = inner, options

    def forward(self, states: Tensor, mask: Tensor | None = None) -> Tensor:
        """The first result for states (B,Q,C) and a mask."""
        if mask is not None:
            result = self.inner(states, attention_mask=mask, **self.options)
        else:
            result = self.inner(states, **self.options)
        return result if isinstance(result, Tensor) else result[0]


@spelling("libraries", lambda: (normal(B, Q, WIDTH), additive(B, 1, 1, Q)))
def clip_layer() -> nn.Module:
    from transformers.models.clip.modeling_clip import CLIPEncoderLayer, CLIPTextConfig

    config = CLIPTextConfig(hidden_size=WIDTH, num_attention_heads=HEADS, intermediate_size=32)
    config._attn_implementation = "eager"
    return _First(CLIPEncoderLayer(config))


@spelling("libraries", lambda: (normal(B, Q, WIDTH), additive(B, 1, Q, Q)))
def clip_maps_returned_by_nobody() -> nn.Module:
    from transformers.models.clip.modeling_clip import CLIPAttention, CLIPTextConfig

    config = CLIPTextConfig(hidden_size=WIDTH, num_attention_heads=HEADS)
    config._attn_implementation = "eager"
    return _First(CLIPAttention(config))


def _t5_config() -> Any:
    from transformers import T5Config

    config = T5Config(
        d_model=WIDTH, d_kv=8, d_ff=32, num_heads=HEADS, relative_attention_num_buckets=8, num_layers=2, vocab_size=20
    )
    config._attn_implementation = "eager"
    return config


@spelling("libraries", lambda: (normal(B, Q, WIDTH), additive(B, 1, 1, Q)))
def t5_block() -> nn.Module:
    from transformers.models.t5.modeling_t5 import T5Block

    return _First(T5Block(_t5_config(), has_relative_attention_bias=True, layer_idx=0))


class _TwoBlocks(nn.Module):
    """The first block computes the position bias, the second is handed it."""

    def __init__(self) -> None:
        super().__init__()
        from transformers.models.t5.modeling_t5 import T5LayerSelfAttention

        config = _t5_config()
        self.one = T5LayerSelfAttention(config, has_relative_attention_bias=True, layer_idx=0)
        self.two = T5LayerSelfAttention(config, layer_idx=1)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """(B,Q,C)."""
        states, bias, _ = self.one(states, attention_mask=mask)
        return self.two(states, attention_mask=mask, position_bias=bias)[0]


@spelling("libraries", lambda: (normal(B, Q, WIDTH), additive(B, 1, 1, Q)), attentions=2)
def t5_bias_passed_on() -> nn.Module:
    return _TwoBlocks()


class _Llama(nn.Module):
    """A layer with rotary angles of its own positions."""

    def __init__(self) -> None:
        super().__init__()
        from transformers.models.llama.modeling_llama import LlamaConfig, LlamaDecoderLayer, LlamaRotaryEmbedding

        config = LlamaConfig(
            hidden_size=32, num_attention_heads=4, num_key_value_heads=2, intermediate_size=40, head_dim=8
        )
        config._attn_implementation = "eager"
        self.layer, self.rotary = LlamaDecoderLayer(config, 0), LlamaRotaryEmbedding(config)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """(B,Q,C)."""
        angles = self.rotary(states, torch.arange(states.shape[1])[None])
        result = self.layer(states, attention_mask=mask, position_embeddings=angles)
        return result if isinstance(result, Tensor) else result[0]


@spelling("libraries", lambda: (normal(B, Q, 32), additive(B, 1, Q, Q)))
def llama_layer() -> nn.Module:
    return _Llama()


@spelling(
    "libraries", lambda: (normal(B, Q, 32, dtype=torch.bfloat16), additive(B, 1, Q, Q).bfloat16()), dtype=torch.bfloat16
)
def llama_layer_half() -> nn.Module:
    return _Llama()


@spelling("libraries", lambda: (normal(B, Q, WIDTH), additive(B, 1, 1, Q)))
def bert_layer() -> nn.Module:
    from transformers.models.bert.modeling_bert import BertConfig, BertLayer

    config = BertConfig(hidden_size=WIDTH, num_attention_heads=HEADS, intermediate_size=32)
    config._attn_implementation = "eager"
    return _First(BertLayer(config))


@spelling("libraries", lambda: (normal(B, Q, WIDTH), additive(B, 1, Q, Q)))
def gpt2_block() -> nn.Module:
    from transformers.models.gpt2.modeling_gpt2 import GPT2Block, GPT2Config

    config = GPT2Config(n_embd=WIDTH, n_head=HEADS, n_inner=32)
    config._attn_implementation = "eager"
    return _First(GPT2Block(config, layer_idx=0))


@spelling("libraries", lambda: (normal(B, Q, WIDTH), additive(B, 1, Q, Q)))
def gpt2_reordered_and_upcast() -> nn.Module:
    from transformers.models.gpt2.modeling_gpt2 import GPT2Attention, GPT2Config

    config = GPT2Config(n_embd=WIDTH, n_head=HEADS, reorder_and_upcast_attn=True)
    config._attn_implementation = "eager"
    return _First(GPT2Attention(config, layer_idx=1))


@spelling("libraries", lambda: (normal(B, 4, WIDTH), -100.0 * keep(2, 4, 4).float()))
def swin_attention_shifted() -> nn.Module:
    from transformers.models.swin.modeling_swin import SwinAttention, SwinConfig

    config = SwinConfig(embed_dim=WIDTH, window_size=2, num_heads=[HEADS], depths=[1])
    config._attn_implementation = "eager"
    return _First(SwinAttention(config, WIDTH, HEADS, window_size=2))


@spelling("libraries", lambda: (normal(2 * B, 4, WIDTH), -100.0 * keep(2, 4, 4).float()))
def swin_v2_attention_shifted() -> nn.Module:
    from transformers.models.swinv2.modeling_swinv2 import Swinv2Config, Swinv2SelfAttention

    config = Swinv2Config(embed_dim=WIDTH, window_size=2, num_heads=[HEADS], depths=[1])
    return _First(Swinv2SelfAttention(config, WIDTH, HEADS, window_size=2))


@spelling("libraries", lambda: (normal(B, Q, WIDTH),))
def vit_layer() -> nn.Module:
    from transformers.models.vit.modeling_vit import ViTConfig, ViTLayer

    config = ViTConfig(hidden_size=WIDTH, num_attention_heads=H, intermediate_size=32)
    config._attn_implementation = "eager"
    return _First(ViTLayer(config))
