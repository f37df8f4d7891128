"""Attention in slices: over the batch, over the queries, over heads, gathered by a list or written into a tensor."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tests.attention_corpus.spelling import B, D, H, K, Q, folded, heads, normal, spelling

SCALE = D**-0.5


def _attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return torch.bmm((torch.bmm(query, key.transpose(1, 2)) * SCALE).softmax(-1), value)


@spelling("sliced", folded, attentions=3)
def batch_slices_in_a_list(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    slices = [_attend(query[i : i + 2], key[i : i + 2], value[i : i + 2]) for i in range(0, B * H, 2)]
    return torch.cat(slices, dim=0)


@spelling("sliced", folded, attentions=2)
def batch_slices_of_uneven_size(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    parts = zip(query.split(4), key.split(4), value.split(4), strict=True)
    return torch.cat([_attend(*part) for part in parts], dim=0)


@spelling("sliced", folded, attentions=3)
def batch_slices_written_in_place(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    out = torch.zeros(query.shape[0], query.shape[1], D)
    for i in range(0, B * H, 2):
        out[i : i + 2] = _attend(query[i : i + 2], key[i : i + 2], value[i : i + 2])
    return out


@spelling("sliced", folded, attentions=3)
def batch_slices_by_baddbmm(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    out = torch.zeros(query.shape[0], query.shape[1], D)
    for i in range(3):
        part = slice(2 * i, 2 * (i + 1))
        empty = torch.empty(2, query.shape[1], key.shape[1])
        scores = torch.baddbmm(empty, query[part], key[part].transpose(-1, -2), beta=0, alpha=SCALE)
        out[part] = torch.bmm(scores.softmax(-1), value[part])
    return out


@spelling("sliced", heads, attentions=B)
def samples_one_by_one(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return torch.stack([_attend(*part) for part in zip(query, key, value, strict=True)])


@spelling("sliced", lambda: (normal(B, Q, D), normal(B, K, D), normal(B, K, D)), attentions=B)
def samples_two_dimensional(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    mixed = []
    for index in range(B):
        scores = torch.mm(query[index], key[index].t()) * SCALE
        mixed.append(torch.mm(torch.softmax(scores, dim=1), value[index]))
    return torch.stack(mixed, dim=0)


@spelling("sliced", lambda: (normal(B, H, 6, D), normal(B, H, K, D), normal(B, H, K, D)), attentions=3)
def query_slices_in_a_list(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    parts = [(part @ key.mT * SCALE).softmax(-1) @ value for part in query.chunk(3, dim=2)]
    return torch.cat(parts, dim=2)


@spelling("sliced", lambda: (normal(B * H, 6, D), normal(B * H, K, D), normal(B * H, K, D)), attentions=2)
def query_slices_written_in_place(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """CompVis' memory-saving loop: scores freed as soon as they are used."""
    out = torch.zeros(query.shape[0], query.shape[1], value.shape[2])
    for start in range(0, 6, 3):
        scores = torch.einsum("b i d, b j d -> b i j", query[:, start : start + 3], key)
        scores *= SCALE
        probabilities = scores.softmax(dim=-1, dtype=query.dtype)
        del scores
        out[:, start : start + 3] = torch.einsum("b i j, b j d -> b i d", probabilities, value)
    return out


@spelling("sliced", lambda: (normal(B, H, 6, D), normal(B, H, 6, D), normal(B, H, 6, D)), attentions=2)
def causal_query_slices(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Rows of one triangle: every slice sees keys up to its own last query."""
    parts = []
    later = torch.ones(6, 6, dtype=torch.bool).triu(1)
    for start in (0, 3):
        scores = query[:, :, start : start + 3] @ key.mT * SCALE
        parts.append(scores.masked_fill(later[start : start + 3], float("-inf")).softmax(-1) @ value)
    return torch.cat(parts, dim=2)


@spelling("sliced", heads, attentions=H)
def heads_written_in_place(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    out = torch.empty_like(query)
    for head in range(H):
        scores = query[:, head] @ key[:, head].transpose(1, 2) * SCALE
        out[:, head] = scores.softmax(dim=-1) @ value[:, head]
    return out


@spelling("sliced", lambda: (normal(B, H, Q, D), normal(B, H, 6, D), normal(B, H, 6, D)), attentions=0, either=True)
def key_slices_with_a_running_sum(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Parts of the keys are joined by their sums of exponentials: one attention in all, none in a part."""
    mixed, total = torch.zeros_like(query), torch.zeros(query.shape[:-1])
    for part, mine in zip(key.chunk(2, dim=2), value.chunk(2, dim=2), strict=True):
        weights = (query @ part.mT * SCALE).exp()
        mixed, total = mixed + weights @ mine, total + weights.sum(-1)
    return mixed / total.unsqueeze(-1)
