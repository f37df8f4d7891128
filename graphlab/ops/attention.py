"""Scaled dot-product attention, composite and fused, and torch's fused encoder attention.

query (*batch, heads, q, d), key (*batch, kv heads, k, d), value (*batch, kv heads, k, v). FLOPs are the two
products', as if no key were skipped: a causal mask halves what some kernels do and none of what is counted.
Bytes are a fused kernel's: query, key, value and mask read, output written; what a kernel that writes the
scores moves besides is in `graphlab.costing.site_traffic`.
"""

from __future__ import annotations

from typing import Any

from graphlab.graph import Dim, TensorSpec
from graphlab.ops.rule import Work, op
from graphlab.ops.sizes import aten, broadcast, first, product


def _scores(query: TensorSpec, key: TensorSpec, enable_gqa: bool) -> tuple[Dim, ...]:
    keys = (*key.shape[:-3], *query.shape[-3:-2]) if enable_gqa else key.shape[:-2]
    return (*broadcast(query.shape[:-2], keys), query.shape[-2], key.shape[-2])


def _work(
    query: TensorSpec,
    key: TensorSpec,
    value: TensorSpec,
    mask: TensorSpec | None,
    causal: bool,
    scale: Any,
    out: TensorSpec,
    gqa: bool = True,
) -> Work:
    scores = _scores(query, key, gqa)
    masked = broadcast(scores, mask.shape) if mask is not None else scores
    flops = 2 * product(scores) * query.shape[-1] + 2 * out.numel * key.shape[-2]
    before = (0 if scale == 1 else product(scores)) + (product(masked) if mask is not None else 0)
    return Work(flops, before + (product(masked) if causal else 0) + 5 * product(masked))


@op("aten.scaled_dot_product_attention.default", category="attention", axes="attention")
def scaled_dot_product_attention(
    query: TensorSpec,
    key: TensorSpec,
    value: TensorSpec,
    attn_mask: TensorSpec | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: Any = None,
    enable_gqa: bool = False,
    out: TensorSpec,
) -> Work:
    """2 * scores * d + 2 * scores * v; pointwise, a score: 1 scale (0 when it is 1), 1 mask, 1 causal, 5 softmax."""
    return _work(query, key, value, attn_mask, is_causal, scale, out, enable_gqa)


@op("aten._scaled_dot_product_attention_math.default", category="attention", axes="attention")
def attention_math(
    query: TensorSpec,
    key: TensorSpec,
    value: TensorSpec,
    attn_mask: TensorSpec | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    dropout_mask: TensorSpec | None = None,
    *,
    scale: Any = None,
    enable_gqa: bool = False,
    out: Any,
) -> Work:
    """As scaled_dot_product_attention."""
    return _work(query, key, value, attn_mask, is_causal, scale, first(out), enable_gqa)


@op("aten._scaled_dot_product_flash_attention.default", category="attention", axes="attention")
def attention_flash(
    query: TensorSpec,
    key: TensorSpec,
    value: TensorSpec,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    return_debug_mask: bool = False,
    *,
    scale: Any = None,
    out: Any,
) -> Work:
    """As scaled_dot_product_attention, which it is the CUDA kernel of."""
    return _work(query, key, value, None, is_causal, scale, first(out))


@op("aten._scaled_dot_product_flash_attention_for_cpu.default", category="attention", axes="attention")
def attention_flash_cpu(
    query: TensorSpec,
    key: TensorSpec,
    value: TensorSpec,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    attn_mask: TensorSpec | None = None,
    scale: Any = None,
    out: Any,
) -> Work:
    """As scaled_dot_product_attention, which it is the CPU kernel of (torch's counter: 0)."""
    return _work(query, key, value, attn_mask, is_causal, scale, first(out))


@op("aten._scaled_dot_product_efficient_attention.default", category="attention", axes="attention")
def attention_efficient(
    query: TensorSpec,
    key: TensorSpec,
    value: TensorSpec,
    attn_bias: TensorSpec | None,
    compute_log_sumexp: bool,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: Any = None,
    out: Any,
) -> Work:
    """As scaled_dot_product_attention."""
    return _work(query, key, value, attn_bias, is_causal, scale, first(out))


@op("aten._scaled_dot_product_cudnn_attention.default", category="attention", axes="attention")
def attention_cudnn(
    query: TensorSpec,
    key: TensorSpec,
    value: TensorSpec,
    attn_bias: TensorSpec | None,
    compute_log_sumexp: bool,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    return_debug_mask: bool = False,
    *,
    scale: Any = None,
    out: Any,
) -> Work:
    """As scaled_dot_product_attention."""
    return _work(query, key, value, attn_bias, is_causal, scale, first(out))


@op("aten._scaled_dot_product_fused_attention_overrideable.default", category="attention", axes="attention")
def attention_overrideable(
    query: TensorSpec,
    key: TensorSpec,
    value: TensorSpec,
    attn_bias: TensorSpec | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    return_debug_mask: bool = False,
    *,
    scale: Any = None,
    out: Any,
) -> Work:
    """As scaled_dot_product_attention; third-party devices fuse into it."""
    return _work(query, key, value, attn_bias, is_causal, scale, first(out))


@op(*aten("_native_multi_head_attention"), category="attention", axes="unknown")
def native_multi_head_attention(
    query: TensorSpec,
    key: TensorSpec,
    value: TensorSpec,
    embed_dim: int,
    num_head: int,
    qkv_weight: TensorSpec,
    qkv_bias: TensorSpec,
    proj_weight: TensorSpec,
    proj_bias: TensorSpec,
    mask: TensorSpec | None = None,
    need_weights: bool = True,
    average_attn_weights: bool = True,
    mask_type: Any = None,
    *,
    out: Any,
) -> Work:
    """Projections 2 * rows * e * e for each of q, k, v and the output, plus the two products 2 * (b q k e) each;
    pointwise: biases, and a score as in scaled_dot_product_attention (torch's counter: 0)."""
    batch, q, k = query.shape[0], query.shape[1], key.shape[1]
    rows = batch * (2 * q + 2 * k)
    scores = batch * num_head * q * k
    flops = 2 * rows * embed_dim * embed_dim + 4 * batch * q * k * embed_dim
    return Work(flops, rows * embed_dim + scores * (6 + (mask is not None)))
