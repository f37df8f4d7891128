"""Whose keys and values: shared by groups of heads, joined from several sources, normalised before the product."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.attention_corpus.spelling import B, D, H, K, Q, heads, keep, normal, spelling

GROUPS, REPEATS = 3, 2
SCALE = D**-0.5


def _grouped() -> tuple[Tensor, Tensor, Tensor]:
    """Query (B,6,Q,D), key and value (B,3,K,D)."""
    return normal(B, GROUPS * REPEATS, Q, D), normal(B, GROUPS, K, D), normal(B, GROUPS, K, D)


def _one_key_head() -> tuple[Tensor, Tensor, Tensor]:
    """Query (B,H,Q,D), key and value (B,K,D)."""
    return normal(B, H, Q, D), normal(B, K, D), normal(B, K, D)


def _attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return (query @ key.transpose(-2, -1) * SCALE).softmax(-1) @ value


@spelling("grouped", _grouped)
def groups_by_expand(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    def repeat(part: Tensor) -> Tensor:
        length = part.shape[2]
        return part[:, :, None].expand(B, GROUPS, REPEATS, length, D).reshape(B, GROUPS * REPEATS, length, D)

    return _attend(query, repeat(key), repeat(value))


@spelling("grouped", _grouped)
def groups_by_repeat_interleave(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return _attend(query, key.repeat_interleave(REPEATS, dim=1), value.repeat_interleave(REPEATS, dim=1))


@spelling("grouped", _grouped)
def groups_by_repeat_whole(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Heads 0 and 3 share keys here, not 0 and 1."""
    return _attend(query, key.repeat(1, REPEATS, 1, 1), value.repeat(1, REPEATS, 1, 1))


@spelling("grouped", _grouped)
def groups_by_concatenation(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return _attend(query, torch.cat([key] * REPEATS, dim=1), torch.cat([value] * REPEATS, dim=1))


@spelling("grouped", _grouped)
def groups_by_stack(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    key, value = (torch.stack([part, part], dim=2).flatten(1, 2) for part in (key, value))
    return _attend(query, key, value)


@spelling("grouped", _grouped)
def groups_by_broadcast(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    query = query.unflatten(1, (GROUPS, REPEATS))
    return _attend(query, key.unsqueeze(2), value.unsqueeze(2)).flatten(1, 2)


@spelling("grouped", _grouped)
def groups_by_einsum(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    query = query.view(B, GROUPS, REPEATS, -1, D)
    probabilities = torch.einsum("bgrid,bgjd->bgrij", query * SCALE, key).softmax(-1)
    return torch.einsum("bgrij,bgjd->bgrid", probabilities, value).reshape(B, GROUPS * REPEATS, -1, D)


@spelling("grouped", _grouped)
def groups_of_queries_folded_into_length(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    length = query.shape[2]
    folded = query.reshape(B, GROUPS, REPEATS * length, D)
    return _attend(folded, key, value).reshape(B, GROUPS * REPEATS, length, D)


@spelling("grouped", lambda: (*_grouped(), keep(B, 1, 1, K)))
def groups_by_expand_masked(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    def repeat(part: Tensor) -> Tensor:
        return part.unsqueeze(2).expand(-1, -1, REPEATS, -1, -1).flatten(1, 2)

    scores = torch.matmul(query, repeat(key).transpose(2, 3)) * SCALE
    scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return F.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype) @ repeat(value)


@spelling("grouped", _one_key_head)
def one_key_head_by_einsum(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    probabilities = torch.einsum("bhid,bjd->bhij", query * SCALE, key).softmax(dim=-1)
    return torch.einsum("bhij,bjd->bhid", probabilities, value)


@spelling("grouped", _one_key_head)
def one_key_head_by_broadcast(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return _attend(query, key.unsqueeze(1), value.unsqueeze(1))


@spelling("grouped", _one_key_head)
def one_key_head_by_expand(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return _attend(query, key[:, None].expand(-1, H, -1, -1), value[:, None].expand(-1, H, -1, -1))


@spelling("grouped", lambda: (normal(B, H, Q, D), normal(B, 1, K, D), normal(B, H, K, D)))
def one_key_head_many_value_heads(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return _attend(query, key, value)


@spelling("grouped", lambda: (*heads(), normal(B, H, 4, D), normal(B, H, 4, D)))
def text_keys_before_image_keys(
    self: nn.Module, query: Tensor, key: Tensor, value: Tensor, text_key: Tensor, text_value: Tensor
) -> Tensor:
    return _attend(query, torch.cat([text_key, key], dim=2), torch.cat([text_value, value], dim=2))


@spelling("grouped", lambda: (*heads(), normal(B, H, 4, D), normal(B, H, 4, D), normal(B, H, 4, D)))
def joint_image_and_text(
    self: nn.Module, query: Tensor, key: Tensor, value: Tensor, text: Tensor, text_key: Tensor, text_value: Tensor
) -> tuple[Tensor, Tensor]:
    joined = _attend(torch.cat([text, query], 2), torch.cat([text_key, key], 2), torch.cat([text_value, value], 2))
    return joined[:, :, : text.shape[2]], joined[:, :, text.shape[2] :]


@spelling("grouped", heads)
class NullKeyAndValue(nn.Module):
    """A learned token that every query may look at instead of anything."""

    def __init__(self) -> None:
        super().__init__()
        self.null = nn.Parameter(torch.randn(2, D))

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        null_key, null_value = (part.expand(B, H, 1, D) for part in self.null.unbind(0))
        return _attend(query, torch.cat((null_key, key), dim=-2), torch.cat((null_value, value), dim=-2))


@spelling("grouped", lambda: (*heads(), keep(B, K)))
class NullKeyAndPaddedMask(NullKeyAndValue):
    """The mask gets a column for the learned token."""

    def forward(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        null_key, null_value = (part.expand(B, H, 1, D) for part in self.null.unbind(0))
        scores = torch.einsum("bhid,bhjd->bhij", query * SCALE, torch.cat((null_key, key), dim=-2))
        seen = F.pad(mask, (1, 0), value=True)[:, None, None, :]
        scores = scores.masked_fill(~seen, -torch.finfo(scores.dtype).max)
        return torch.einsum("bhij,bhjd->bhid", scores.softmax(-1), torch.cat((null_value, value), dim=-2))


@spelling("grouped", heads)
def queries_and_keys_of_length_one(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    query, key = F.normalize(query, dim=-1), F.normalize(key, dim=-1)
    return (10 * torch.einsum("bhid,bhjd->bhij", query, key)).softmax(dim=-1) @ value


@spelling("grouped", heads)
def queries_and_keys_over_their_norm(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    query, key = (part / part.norm(dim=-1, keepdim=True) for part in (query, key))
    return (query @ key.mT * 8.0).softmax(dim=-1) @ value


@spelling("grouped", heads, either=True)
def scores_over_both_norms(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    norms = query.norm(dim=-1)[..., :, None] * key.norm(dim=-1)[..., None, :]
    return (query @ key.mT / norms * 8.0).softmax(dim=-1) @ value


@spelling("grouped", heads)
class QueriesAndKeysByRms(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query, self.key = nn.RMSNorm(D), nn.RMSNorm(D)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return _attend(self.query(query), self.key(key), value)


@spelling("grouped", heads)
class QueriesAndKeysByLayerNorm(QueriesAndKeysByRms):
    def __init__(self) -> None:
        super().__init__()
        self.query, self.key = nn.LayerNorm(D), nn.LayerNorm(D)


@spelling("grouped", heads)
def keys_and_values_returned_as_cache(
    self: nn.Module, query: Tensor, key: Tensor, value: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    key, value = key * 1.5, value * 0.5
    return _attend(query, key, value), key, value


@spelling("grouped", lambda: (*heads(), normal(B, H, 4, D), normal(B, H, 4, D)), attentions=2)
def two_attentions_added(
    self: nn.Module, query: Tensor, key: Tensor, value: Tensor, other_key: Tensor, other_value: Tensor
) -> Tensor:
    """Text and image prompt apart, as IP-Adapter has it."""
    return _attend(query, key, value) + 0.6 * _attend(query, other_key, other_value)


@spelling("grouped", lambda: (normal(B, H, K, D), normal(B, H, K, D), normal(B, H, K, D)), attentions=2)
def second_attention_reads_the_first(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return _attend(_attend(query, key, value), key, value)
