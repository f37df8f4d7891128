"""What the scores are masked by, with which operator, where, and what a row without any key gives."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tests.attention_corpus.spelling import (
    B,
    D,
    H,
    K,
    Q,
    additive,
    folded,
    heads,
    heads_bf16,
    keep,
    normal,
    spelling,
    square,
    tokens_first,
)

SCALE = D**-0.5
MINUS_INFINITY = float("-inf")


def _scores(query: Tensor, key: Tensor) -> Tensor:
    return query @ key.mT * SCALE


@spelling("masks", lambda: (*heads(), additive(B, 1, Q, K)))
def additive_mask(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return (_scores(query, key) + mask).softmax(-1) @ value


@spelling("masks", lambda: (*heads(), additive(B, H, Q, K)))
def additive_mask_in_place(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    scores = _scores(query, key)
    scores += mask
    return scores.softmax(-1) @ value


@spelling("masks", lambda: (*heads(), normal(K)))
def additive_bias_of_keys_alone(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    return (bias + _scores(query, key)).softmax(-1) @ value


@spelling("masks", lambda: (*heads(), normal(B, Q, K)))
def additive_mask_without_heads(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return (_scores(query, key) + mask[:, None]).softmax(-1) @ value


@spelling("masks", lambda: (*tokens_first(), normal(H, Q, K)))
def additive_mask_heads_between(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    scores = torch.einsum("bihd,bjhd->bihj", query, key) + mask.transpose(0, 1)
    return torch.einsum("bihj,bjhd->bihd", scores.softmax(-1), value)


@spelling("masks", lambda: (*heads(), normal(K, Q)))
def additive_mask_key_major(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return (key @ query.mT + mask).softmax(-2).mT @ value


@spelling("masks", lambda: (*folded(), normal(B, 1, K)))
def additive_mask_repeated_for_heads(
    self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor
) -> Tensor:
    scores = _scores(query, key) + mask.repeat_interleave(H, dim=0)
    return torch.bmm(scores.softmax(-1), value)


@spelling("masks", lambda: (*heads(), keep(B, 1, 1, K).long()))
def additive_mask_from_ones(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return (_scores(query, key) + (1.0 - mask.float()) * -10000.0).softmax(-1) @ value


@spelling("masks", lambda: (*heads(), keep(B, K)))
def additive_mask_of_smallest_number(
    self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor
) -> Tensor:
    bias = (1.0 - mask[:, None, None, :].to(query.dtype)) * torch.finfo(query.dtype).min
    return (_scores(query, key) + bias).softmax(-1) @ value


@spelling("masks", lambda: (*heads(), torch.rand(B, 1, Q, K) + 0.1))
def additive_logarithm_of_weights(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, prior: Tensor) -> Tensor:
    return (_scores(query, key) + prior.log()).softmax(-1) @ value


@spelling("masks", lambda: (*heads_bf16(), normal(B, 1, Q, K)))
def additive_float32_mask_on_half(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return (_scores(query, key) + mask).softmax(-1).to(value.dtype) @ value


@spelling("masks", lambda: (*heads(), keep(B, 1, Q, K)))
def where_keep(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return torch.where(mask, _scores(query, key), MINUS_INFINITY).softmax(-1) @ value


@spelling("masks", lambda: (*heads(), ~keep(B, 1, Q, K)))
def where_drop(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return torch.where(mask, torch.tensor(MINUS_INFINITY), _scores(query, key)).softmax(-1) @ value


@spelling("masks", lambda: (*heads(), keep(B, 1, 1, K)))
def where_filled_tensor(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    scores = _scores(query, key)
    return torch.where(mask, scores, torch.full_like(scores, -1e9)).softmax(-1) @ value


@spelling("masks", lambda: (*heads(), keep(B, 1, Q, K)))
def where_as_a_bias(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return (_scores(query, key) + torch.where(mask, 0.0, MINUS_INFINITY)).softmax(-1) @ value


@spelling("masks", lambda: (*heads(), ~keep(B, 1, Q, K)))
def masked_fill_infinity(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return _scores(query, key).masked_fill(mask, MINUS_INFINITY).softmax(-1) @ value


@spelling("masks", lambda: (*heads(), keep(B, 1, Q, K)))
def masked_fill_of_not_kept(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return _scores(query, key).masked_fill(~mask, MINUS_INFINITY).softmax(-1) @ value


@spelling("masks", lambda: (*heads(), keep(B, K).int()))
def masked_fill_of_zeros(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return _scores(query, key).masked_fill(mask[:, None, None] == 0, MINUS_INFINITY).softmax(-1) @ value


@spelling("masks", lambda: (*heads(), ~keep(B, H, Q, K)))
def masked_fill_in_place(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    scores = query @ key.mT
    scores.masked_fill_(mask, MINUS_INFINITY)
    return scores.softmax(-1) @ value


@spelling("masks", lambda: (*heads(), ~keep(B, 1, Q, K)))
def masked_fill_minus_1e9(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return _scores(query, key).masked_fill(mask, -1e9).softmax(-1) @ value


@spelling("masks", lambda: (*heads(), ~keep(B, 1, Q, K)))
def masked_fill_minus_1e4(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return _scores(query, key).masked_fill(mask, -1e4).softmax(-1) @ value


@spelling("masks", lambda: (*heads(), ~keep(B, 1, Q, K)))
def masked_fill_smallest_number(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    scores = _scores(query, key)
    return scores.masked_fill(mask, -torch.finfo(scores.dtype).max).softmax(-1) @ value


@spelling("masks", lambda: (*heads_bf16(), ~keep(B, 1, Q, K)))
def masked_fill_smallest_half_number(
    self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor
) -> Tensor:
    return _scores(query, key).masked_fill(mask, torch.finfo(query.dtype).min).softmax(-1) @ value


@spelling("masks", lambda: (*heads(), ~keep(B, 1, Q, K)))
def masked_fill_then_scaled(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return ((query @ key.mT).masked_fill(mask, MINUS_INFINITY) * SCALE).softmax(-1) @ value


@spelling("masks", lambda: (*tokens_first(), ~keep(B, K)))
def masked_fill_heads_last(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    scores = torch.einsum("bihd,bjhd->bijh", query, key).masked_fill(mask[:, None, :, None], MINUS_INFINITY)
    return torch.einsum("bijh,bjhd->bihd", scores.softmax(2), value)


@spelling("masks", lambda: (*square(), ~keep(4, 4)))
def masked_fill_all_sizes_coincide(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return (query @ key.mT).masked_fill(mask[:, None, None, :], MINUS_INFINITY).softmax(-1) @ value


@spelling("masks", lambda: (*heads(), keep(B, 1, 1, K), normal(H, Q, K)))
def bias_then_mask(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor, bias: Tensor) -> Tensor:
    return (_scores(query, key) + bias).masked_fill(~mask, MINUS_INFINITY).softmax(-1) @ value


@spelling("masks", lambda: (*heads(), keep(B, 1, 1, K), normal(H, Q, K)))
def mask_then_bias(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor, bias: Tensor) -> Tensor:
    return (_scores(query, key).masked_fill(~mask, -1e9) + bias).softmax(-1) @ value


@spelling("masks", lambda: (*heads(), additive(B, 1, 1, K), normal(H, Q, K)))
def two_additive_masks(
    self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor, bias: Tensor
) -> Tensor:
    return (_scores(query, key) + bias + mask).softmax(-1) @ value


@spelling("masks", lambda: (*heads(), keep(B, 1, 1, K), keep(1, 1, Q, K)))
def two_boolean_masks(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, one: Tensor, two: Tensor) -> Tensor:
    scores = _scores(query, key).masked_fill(~one, MINUS_INFINITY)
    return torch.where(two, scores, MINUS_INFINITY).softmax(-1) @ value


@spelling("masks", lambda: (*heads(), keep(B, 1, 1, K), keep(1, 1, Q, K)))
def conjunction_of_masks(
    self: nn.Module, query: Tensor, key: Tensor, value: Tensor, one: Tensor, two: Tensor
) -> Tensor:
    return torch.where(one & two, _scores(query, key), MINUS_INFINITY).softmax(-1) @ value


@spelling("masks", lambda: (*folded(), normal(B, 1, Q, K)))
def mask_added_in_a_view(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    scores = torch.bmm(query, key.transpose(1, 2)).view(B, H, Q, K) + mask
    return torch.bmm(scores.view(B * H, Q, K).softmax(-1), value)


@spelling("masks", lambda: (*folded(), ~keep(B, K)))
def mask_filled_in_a_view(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    scores = torch.bmm(query, key.transpose(1, 2)).unflatten(0, (B, H))
    scores = scores.masked_fill(mask.unsqueeze(1).unsqueeze(2), MINUS_INFINITY).flatten(0, 1)
    return torch.bmm(scores.softmax(-1), value)


@spelling("masks", lambda: (*heads(), torch.randint(0, 2, (B, Q)), torch.randint(0, 2, (B, K))))
def documents_see_themselves(
    self: nn.Module, query: Tensor, key: Tensor, value: Tensor, ours: Tensor, theirs: Tensor
) -> Tensor:
    same = ours[:, None, :, None] == theirs[:, None, None, :]
    return torch.where(same, _scores(query, key), -1e9).softmax(-1) @ value


@spelling("masks", lambda: (*heads(), keep(B, 1, Q, K)), either=True)
def scores_times_mask_minus_large(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    seen = mask.float()
    return (_scores(query, key) * seen - 1e4 * (1 - seen)).softmax(-1) @ value


@spelling("masks", lambda: (*heads(), keep(B, 1, Q, K)), either=True)
def mask_again_after_softmax(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    probabilities = _scores(query, key).masked_fill(~mask, -1e9).softmax(-1)
    return probabilities.masked_fill(~mask, 0.0) @ value


def _with_empty_row() -> Tensor:
    mask = keep(B, 1, Q, K)
    mask[1, :, 2] = False
    return mask


@spelling("masks", lambda: (*heads(), _with_empty_row()), either=True)
def empty_row_filled_with_infinity(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return _scores(query, key).masked_fill(~mask, MINUS_INFINITY).softmax(-1) @ value


@spelling("masks", lambda: (*heads(), _with_empty_row()), either=True)
def empty_row_filled_with_1e4(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return _scores(query, key).masked_fill(~mask, -1e4).softmax(-1) @ value


@spelling("masks", lambda: (*heads(), _with_empty_row()), either=True)
def empty_row_filled_with_smallest(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return torch.where(mask, _scores(query, key), torch.finfo(query.dtype).min).softmax(-1) @ value


@spelling("masks", lambda: (*heads(), _with_empty_row()))
def empty_row_of_a_finite_bias(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return (_scores(query, key) + (~mask).float() * -100.0).softmax(-1) @ value


@spelling("masks", lambda: (*heads(), _with_empty_row()), either=True)
def empty_row_made_zero_after_softmax(
    self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor
) -> Tensor:
    probabilities = _scores(query, key).masked_fill(~mask, MINUS_INFINITY).softmax(-1)
    return probabilities.nan_to_num(0.0) @ value
