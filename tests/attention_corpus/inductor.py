"""What the thirty attention patterns of torch 2.13's inductor mean at inference, numbered as they are there.

Read from torch/_inductor/fx_passes/fuse_attention.py. Operands of patterns that permute come as (B,L,H,D).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.attention_corpus.spelling import B, D, H, K, Q, additive, heads, keep, normal, spelling

ROOT = D**0.5
Pair = tuple[Tensor, Tensor, Tensor]


def _swapped(dtype: torch.dtype = torch.float32) -> Pair:
    return normal(B, Q, H, D, dtype=dtype), normal(B, K, H, D, dtype=dtype), normal(B, K, H, D, dtype=dtype)


def _half() -> Pair:
    return _swapped(torch.float16)


def _permuted(*parts: Tensor) -> tuple[Tensor, ...]:
    return tuple(part.permute(0, 2, 1, 3) for part in parts)


def _dropped(weights: Tensor) -> Tensor:
    """Dropout as inference has it."""
    return F.dropout(weights, p=0.1, training=False)


@spelling("inductor", heads)
def inductor_1(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    scores = query.matmul(key.transpose(-2, -1)) / ROOT
    return scores.softmax(-1).matmul(value)


@spelling("inductor", heads)
def inductor_2(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    scores = query.matmul(key.transpose(-2, -1)) * (1 / ROOT)
    return scores.softmax(-1).matmul(value)


@spelling("inductor", heads)
def inductor_3(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    scores = query.matmul(key.transpose(-2, -1)) / ROOT
    return _dropped(scores.softmax(-1)).matmul(value)


@spelling("inductor", heads)
def inductor_4(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    scores = query.matmul(key.transpose(-2, -1)) * 0.3
    return _dropped(scores.softmax(-1)).matmul(value)


@spelling("inductor", lambda: (*heads(), additive(1, 1, Q, K)))
def inductor_5(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    scores = query @ key.transpose(-2, -1) / ROOT + mask
    return torch.softmax(scores, dim=-1) @ value


@spelling("inductor", lambda: (*heads(), normal(1, 1, Q, K)))
def inductor_6(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    scores = query @ key.transpose(-2, -1) / ROOT + mask
    return _dropped(torch.softmax(scores, dim=-1)) @ value


@spelling("inductor", _half)
def inductor_7(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    query, key, value = _permuted(query, key, value)
    scores = (query @ key.transpose(-2, -1) / ROOT).float()
    return _dropped(scores.softmax(-1)).to(torch.float16) @ value


@spelling("inductor", _half)
def inductor_8(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    query, key, value = _permuted(query, key, value)
    weights = (query @ key.transpose(-2, -1) / ROOT).float().softmax(-1).to(torch.float16)
    return weights @ value.to(weights.dtype)


@spelling("inductor", _half)
def inductor_9(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    query, key, value = _permuted(query, key, value)
    scores = ((query / ROOT) @ key.transpose(-2, -1)).float()
    return _dropped(scores.softmax(-1)).to(torch.float16) @ value


@spelling("inductor", _half)
def inductor_10(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    query, key, value = _permuted(query, key, value)
    scores = ((query / ROOT) @ key.transpose(-2, -1)).float()
    return scores.softmax(-1).to(torch.float16) @ value


@spelling("inductor", _swapped)
def inductor_11(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    query, key, value = _permuted(query, key, value)
    return (query.matmul(key.transpose(-2, -1)) / ROOT).softmax(-1).matmul(value)


@spelling("inductor", _swapped)
def inductor_12(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    query, key, value = _permuted(query, key, value)
    return _dropped((query.matmul(key.transpose(-2, -1)) / ROOT).softmax(-1)).matmul(value)


@spelling("inductor", lambda: (normal(B, Q, D), normal(B, K, D), normal(B, K, D)))
def inductor_13(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return torch.bmm(_dropped(torch.bmm(query, key.transpose(1, 2)).softmax(-1)), value)


@spelling("inductor", lambda: (*_swapped(), additive(B, 1, 1, K)))
def inductor_14(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    query, key, value = _permuted(query, key, value)
    return (query.matmul(key.transpose(-2, -1)) / ROOT + mask).softmax(-1).matmul(value)


def _filled(scores: Tensor, mask: Tensor) -> Tensor:
    """-inf in `scores` (B,H,Q,K) where `mask` (B,K) is 0."""
    hidden = (mask == 0).view(B, 1, 1, -1).expand_as(scores)
    return scores.masked_fill(hidden, torch.full((), float("-inf"), dtype=scores.dtype))


@spelling("inductor", lambda: (*_swapped(), keep(B, K).float()))
def inductor_15(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    query, key, value = _permuted(query, key, value)
    return _filled(query @ key.transpose(-2, -1) / ROOT, mask).softmax(-1) @ value


@spelling("inductor", lambda: (*_swapped(), additive(B, 1, 1, K)))
def inductor_16(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    query, key, value = _permuted(query, key, value)
    weights = _dropped((query.matmul(key.transpose(-2, -1)) / ROOT + mask).softmax(-1))
    return weights.to(query.dtype).matmul(value)


@spelling("inductor", lambda: (*_swapped(), keep(B, K).float()))
def inductor_17(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    query, key, value = _permuted(query, key, value)
    return _dropped(_filled(query @ key.transpose(-2, -1) / ROOT, mask).softmax(-1)) @ value


def _where_lowest(scores: Tensor, mask: Tensor) -> Tensor:
    return torch.where(mask, scores, torch.full((), torch.finfo(scores.dtype).min, dtype=scores.dtype))


@spelling("inductor", lambda: (*_swapped(), keep(B, 1, 1, K)))
def inductor_18(
    self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    query, key, value = _permuted(query, key, value)
    scores = torch.matmul(query, key.permute(0, 1, 3, 2)) / torch.full([], ROOT, dtype=query.dtype)
    return _dropped(_where_lowest(scores, mask).softmax(-1)).matmul(value), key, value


@spelling("inductor", lambda: (*heads(), keep(1, 1, Q, K), normal(1, 1, Q, K)))
def inductor_19(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor, bias: Tensor) -> Tensor:
    scores = torch.matmul(query, key.permute(0, 1, 3, 2)) / torch.full([], ROOT, dtype=query.dtype)
    weights = (_where_lowest(scores, mask) + bias).softmax(-1).type(value.dtype)
    return _dropped(weights).matmul(value)


@spelling("inductor", lambda: (*_swapped(), keep(B, K).float()))
def inductor_20(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    query, key, value = _permuted(query, key, value)
    return _dropped(_filled((query / ROOT) @ key.transpose(-2, -1), mask).softmax(-1)) @ value


def _biased(query: Tensor, key: Tensor, bias: Tensor) -> Tensor:
    return torch.matmul(query, key.permute(0, 1, 3, 2)) + bias


@spelling("inductor", lambda: (*_half(), normal(B, 1, 1, K)))
def inductor_21(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    query, key, value = _permuted(query, key, value)
    scores = _biased(query, key, bias).type_as(query)
    return scores.float().softmax(-1).type_as(query).matmul(value)


@spelling("inductor", lambda: (*_half(), normal(B, 1, 1, K)))
def inductor_22(
    self: nn.Module, query: Tensor, key: Tensor, value: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    query, key, value = _permuted(query, key, value)
    scores = _biased(query, key, bias).type_as(query)
    return scores.float().softmax(-1).type_as(query).matmul(value), key, value


@spelling("inductor", _half)
def inductor_23(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    query, key, value = _permuted(query, key, value)
    scores = torch.matmul(query, key.permute(0, 1, 3, 2)).float().type_as(query)
    return scores.float().softmax(-1).type_as(query).matmul(value), key, value


@spelling("inductor", lambda: (*heads(), normal(1, 1, Q, K)))
def inductor_24(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    one, two, three = (part.reshape(B * H, -1, D) for part in (query, key, value))
    scores = torch.bmm(one, two.transpose(1, 2)).view(B, H, query.shape[2], -1) + bias
    weights = F.softmax(scores.view(B * H, query.shape[2], -1), dim=-1)
    return torch.bmm(weights, three).view(B, H, -1, D)


@spelling("inductor", lambda: (*_half(), normal(B, 1, 1, K, dtype=torch.float16)))
def inductor_25(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    query, key, value = _permuted(query, key, value)
    return _dropped(_biased(query, key, bias).float().softmax(-1).type_as(query)).matmul(value)


@spelling("inductor", lambda: (*_half(), normal(B, 1, 1, K, dtype=torch.float16)))
def inductor_26(
    self: nn.Module, query: Tensor, key: Tensor, value: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    query, key, value = _permuted(query, key, value)
    return _dropped(_biased(query, key, bias).float().softmax(-1).type_as(query)).matmul(value), key, value


@spelling("inductor", _half)
def inductor_27(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    query, key, value = _permuted(query, key, value)
    scores = torch.matmul(query, key.permute(0, 1, 3, 2))
    return _dropped(scores.float().softmax(-1).type_as(query)).matmul(value), key, value


@spelling("inductor", lambda: (normal(B, H, D, Q), normal(B, H, D, K), normal(B, H, D, K)))
def inductor_28(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Operands that are not contiguous, as Visformer has them."""
    query, key, value = query.transpose(2, 3), key.transpose(2, 3), value.transpose(2, 3)
    return _dropped((query.matmul(key.transpose(-2, -1)) * 0.3).softmax(-1)).matmul(value)


def _split_scale(query: Tensor, key: Tensor) -> Tensor:
    scaled = torch.ops.aten.mul.Scalar(query, 0.6)
    return scaled @ torch.ops.aten.mul.Scalar(key.transpose(-2, -1), 0.6)


@spelling("inductor", lambda: (*_swapped(), additive(B, 1, 1, K)))
def inductor_29(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    query, key, value = _permuted(query, key, value)
    return torch.ops.aten._safe_softmax(_split_scale(query, key) + mask, -1) @ value


@spelling("inductor", _swapped)
def inductor_30(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    query, key, value = _permuted(query, key, value)
    return torch.ops.aten._safe_softmax(_split_scale(query, key), -1) @ value
