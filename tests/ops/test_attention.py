"""Attention: closed forms, torch's counter on random shapes, and the same total fused and spelled out."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from graphlab.ops.traffic import traffic
from tests.ops.oracle import bound, counted_op, meta, spec, work

SDPA = "aten.scaled_dot_product_attention.default"
Q, K, V = meta(2, 3, 4, 8), meta(2, 3, 5, 8), meta(2, 3, 5, 6)
SCORES = 2 * 3 * 4 * 5
FLOPS = 2 * SCORES * 8 + 2 * SCORES * 6


def test_closed_forms() -> None:
    assert work(SDPA, Q, K, V) == (FLOPS, 6 * SCORES)
    assert work(SDPA, Q, K, V, scale=1.0) == (FLOPS, 5 * SCORES)
    assert work(SDPA, Q, K, V, meta(2, 1, 4, 5)) == (FLOPS, 7 * SCORES)
    assert work(SDPA, Q, K, V, None, 0.0, True) == (FLOPS, 7 * SCORES)


def test_causal_mask_skips_nothing() -> None:
    assert work(SDPA, Q, K, V, None, 0.0, True).flops == work(SDPA, Q, K, V).flops


def test_bytes_are_a_fused_kernels() -> None:
    read = 4 * (2 * 3 * 4 * 8 + 2 * 3 * 5 * 8 + 2 * 3 * 5 * 6)
    assert traffic(*bound(SDPA, Q, K, V)) == (read, 4 * 2 * 3 * 4 * 6)
    assert traffic(*bound(SDPA, Q, K, V, meta(4, 5))) == (read + 4 * 20, 4 * 2 * 3 * 4 * 6)


def test_fused_kernels_count_like_the_composite() -> None:
    key, value = meta(2, 3, 5, 8), meta(2, 3, 5, 8)
    wanted = work(SDPA, Q, key, value)
    assert work("aten._scaled_dot_product_flash_attention_for_cpu.default", Q, key, value) == wanted
    assert work("aten._scaled_dot_product_attention_math.default", Q, key, value) == wanted
    assert work("aten._scaled_dot_product_efficient_attention.default", Q, key, value, None, False) == wanted


def test_spelled_out_attention_has_the_same_total() -> None:
    """q @ k^T, * scale, softmax, @ v: one rule or four, the same FLOPs and the same pointwise FLOPs."""
    scores = meta(2, 3, 4, 5)
    steps = [
        work("aten.matmul.default", Q, K.transpose(-1, -2)),
        work("aten.mul.Tensor", scores, 0.125),
        work("aten.softmax.int", scores, -1),
        work("aten.matmul.default", scores, V),
    ]
    total = (sum(step.flops for step in steps), sum(step.pointwise for step in steps))
    assert total == work(SDPA, Q, K, V)


@st.composite
def attentions(draw: st.DrawFn) -> tuple[tuple[torch.Tensor, ...], bool]:
    """(query, key, value, mask?) of rank 3 to 5, values of another width, broadcast batches, grouped heads."""
    q, k, d, v = (draw(st.integers(1, 4)) for _ in range(4))
    lead = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    other = list(lead)
    gqa = draw(st.booleans())
    if gqa:
        lead[-1] = other[-1] * draw(st.integers(1, 3))
    elif draw(st.booleans()):
        at = draw(st.integers(0, len(lead) - 1))
        other[at] = 1
    tensors = [meta(*lead, q, d), meta(*other, k, d), meta(*other, k, v)]
    if draw(st.booleans()):
        tensors.append(meta(*draw(st.sampled_from(([], lead, [1] * len(lead)))), q, k))
    return tuple(tensors), gqa


@given(attentions(), st.sampled_from((None, 1.0, 0.3)))
@settings(max_examples=120, deadline=None)
def test_random_attentions_are_torchs_count(case: tuple[tuple[torch.Tensor, ...], bool], scale: float | None) -> None:
    tensors, gqa = case
    found = work(SDPA, *tensors, scale=scale, enable_gqa=gqa)
    assert found.flops == counted_op(SDPA, *tensors, scale=scale, enable_gqa=gqa)


@pytest.mark.parametrize(("q", "k"), [(4, 4), (4, 6)])
def test_encoder_attention_is_its_parts(q: int, k: int) -> None:
    """torch's fused multi-head attention: four projections with bias, and the attention between them."""
    from graphlab.ops import TABLE

    width, heads = 8, 2
    query, key = spec(3, q, width), spec(3, k, width)
    found = TABLE["aten._native_multi_head_attention.default"].body(
        query, key, key, width, heads, spec(24, 8), spec(24), spec(8, 8), spec(8), out=(query, None)
    )
    split = [meta(3, heads, tokens, width // heads) for tokens in (q, k, k)]
    parts = [work("aten.linear.default", meta(3, t, width), meta(width, width), meta(width)) for t in (q, q, k, k)]
    core = work(SDPA, *split)
    assert found.flops == core.flops + sum(part.flops for part in parts)
    assert found.pointwise == core.pointwise + sum(part.pointwise for part in parts)
