"""What only looks like attention by its numbers: rounded scores, shifts that are no shift, fills that do not hide."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tests.attention_corpus.spelling import B, D, H, K, Q, heads, keep, normal, spelling

SCALE = D**-0.5


def _scores(query: Tensor, key: Tensor) -> Tensor:
    return query @ key.mT * SCALE


@spelling("near numbers", heads, 0, reason="rounds the scores to int64")
def scores_rounded(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return (_scores(query, key) * 4).long().to(query.dtype).softmax(-1) @ value


@spelling("near numbers", heads, 0, reason="rounds the scores to int32")
def scores_rounded_for_the_softmax(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return (_scores(query, key) * 4).int().softmax(-1, dtype=torch.float32) @ value


@spelling("near numbers", heads, 0, reason="rounds the probabilities to bool")
def probabilities_as_booleans(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return _scores(query, key).softmax(-1).bool().to(query.dtype) @ value


@spelling("near numbers", lambda: (*heads(), normal(K)), 0, reason="a number was added")
def shifted_scores_times_keys(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, factor: Tensor) -> Tensor:
    return ((_scores(query, key) + 5) * factor).softmax(-1) @ value


@spelling("near numbers", lambda: (*heads(), normal(B, 1, 1, K)), 0, reason="a number was added")
def shifted_scores_over_keys(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, factor: Tensor) -> Tensor:
    return ((_scores(query, key) - 5) / factor).softmax(-1) @ value


@spelling("near numbers", lambda: (*heads(), keep(B, 1, Q, K)), 0, reason="-50000 is added")
def shift_scaled_below_the_fill(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, seen: Tensor) -> Tensor:
    return ((_scores(query, key) - 50) * 1000).masked_fill(~seen, -1e4).softmax(-1) @ value


@spelling("near numbers", lambda: (*heads(), keep(B, 1, Q, K)), 0, reason="may fall below")
def scores_scaled_below_the_fill(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, seen: Tensor) -> Tensor:
    return (_scores(query, key) * 1e4).masked_fill(~seen, -1e4).softmax(-1) @ value


@spelling("near numbers", heads, 0)
def denominator_rounded(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    weights = _scores(query, key).exp()
    return weights / weights.sum(-1, keepdim=True, dtype=torch.long) @ value


@spelling(
    "near numbers", lambda: (normal(Q, D), normal(K, 1), normal(K, D)), 0, reason="one operand alone", dynamic=False
)
def width_of_one_against_many(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return torch.tensordot(query, key, ([1], [1])).softmax(-1) @ value


@spelling("near numbers", heads)
def operands_by_view_copy(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """No near miss: upstream of the products stand views that copy."""
    folded = [torch.view_copy(part, (B * H, *part.shape[2:])) for part in (query, key, value)]
    return torch.bmm(torch.bmm(folded[0], folded[1].mT).softmax(-1), folded[2])
