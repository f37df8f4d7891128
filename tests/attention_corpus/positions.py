"""Masks that positions make: causal in every spelling, windows, relative position tables, ALiBi, rotations."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.attention_corpus.spelling import B, D, H, K, Q, heads, normal, spelling, tokens_first

SCALE = D**-0.5
MINUS_INFINITY = float("-inf")


def _same_length() -> tuple[Tensor, Tensor, Tensor]:
    return normal(B, H, K, D), normal(B, H, K, D), normal(B, H, K, D)


def _scores(query: Tensor, key: Tensor) -> Tensor:
    return query @ key.mT * SCALE


def _positions(query: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
    """Positions of queries (Q,1) and of keys (1,K), both from 0."""
    return torch.arange(query.shape[-2])[:, None], torch.arange(key.shape[-2])[None, :]


@spelling("positions", _same_length)
def causal_by_tril(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    seen = torch.tril(torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool))
    return _scores(query, key).masked_fill(~seen, MINUS_INFINITY).softmax(-1) @ value


@spelling("positions", _same_length)
def causal_by_tril_equal_zero(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    seen = torch.tril(torch.ones(query.shape[-2], query.shape[-2])).view(1, 1, query.shape[-2], query.shape[-2])
    return _scores(query, key).masked_fill(seen == 0, MINUS_INFINITY).softmax(-1) @ value


@spelling("positions", _same_length)
def causal_by_triu_of_infinity(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    mask = torch.full((query.shape[-2], key.shape[-2]), MINUS_INFINITY).triu(1)
    return (_scores(query, key) + mask).softmax(-1) @ value


@spelling("positions", _same_length)
def causal_by_triu_fill_large(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    later = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool).triu(1)
    scores = _scores(query, key)
    return scores.masked_fill(later, -torch.finfo(scores.dtype).max).softmax(-1) @ value


@spelling("positions", _same_length)
def causal_by_comparison(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    ours, theirs = _positions(query, key)
    return torch.where(ours >= theirs, _scores(query, key), MINUS_INFINITY).softmax(-1) @ value


@spelling("positions", _same_length)
def causal_scores_in_place(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    scores = _scores(query, key)
    ours, theirs = _positions(query, key)
    scores.masked_fill_(theirs > ours, -1e4)
    return scores.softmax(-1) @ value


@spelling("positions", lambda: (normal(B, H, 5, D), normal(B, H, 5, D), normal(B, H, 5, D)))
class CausalBufferSliced(nn.Module):
    """A triangle kept as a buffer for the longest sequence, cut to size (minGPT, GPT-2)."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Buffer(torch.tril(torch.ones(16, 16, dtype=torch.bool)).view(1, 1, 16, 16))

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        lowest = torch.finfo(query.dtype).min
        seen = self.bias[:, :, key.shape[-2] - query.shape[-2] : key.shape[-2], : key.shape[-2]]
        scores = torch.where(seen, _scores(query, key), torch.full([], lowest))
        return scores.softmax(-1) @ value


@spelling("positions", heads)
class CausalBufferAlignedToTheEnd(CausalBufferSliced):
    """Fewer queries than keys: the queries are the last ones, so the triangle hangs at the lower right."""


@spelling("positions", heads)
def causal_aligned_to_the_start(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    ours, theirs = _positions(query, key)
    return torch.where(ours >= theirs, _scores(query, key), MINUS_INFINITY).softmax(-1) @ value


@spelling("positions", heads)
def causal_aligned_to_the_end(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    past = key.shape[-2] - query.shape[-2]
    later = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool).triu(past + 1)
    return _scores(query, key).masked_fill(later, MINUS_INFINITY).softmax(-1) @ value


@spelling("positions", _same_length)
def strictly_causal_with_self(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    seen = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool).tril(-1) | torch.eye(key.shape[-2]).bool()
    return torch.where(seen, _scores(query, key), MINUS_INFINITY).softmax(-1) @ value


@spelling("positions", _same_length)
def anticausal(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    seen = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool).triu()
    return _scores(query, key).masked_fill(~seen, MINUS_INFINITY).softmax(-1) @ value


@spelling("positions", _same_length)
def triangle_off_by_one(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    later = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool).triu(2)
    return _scores(query, key).masked_fill(later, MINUS_INFINITY).softmax(-1) @ value


@spelling("positions", _same_length)
def sliding_window_causal(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    ours, theirs = _positions(query, key)
    seen = (ours >= theirs) & (ours - theirs < 3)
    return torch.where(seen, _scores(query, key), MINUS_INFINITY).softmax(-1) @ value


@spelling("positions", _same_length)
def sliding_window_both_sides(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    ours, theirs = _positions(query, key)
    return _scores(query, key).masked_fill((ours - theirs).abs() > 2, -1e9).softmax(-1) @ value


@spelling("positions", lambda: (*_same_length(), torch.tensor([[True] * K, [True] * 4 + [False] * 3])))
def causal_and_padding(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    ours, theirs = _positions(query, key)
    seen = torch.logical_and(ours >= theirs, mask[:, None, None, :])
    return _scores(query, key).masked_fill(~seen, -1e9).softmax(-1) @ value


@spelling("positions", lambda: (normal(B, K, H, D), normal(B, K, H, D), normal(B, K, H, D)))
def causal_einsum_tokens_first(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    scores = torch.einsum("bihd,bjhd->bhij", query, key)
    later = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
    return torch.einsum("bhij,bjhd->bihd", scores.masked_fill(later, MINUS_INFINITY).softmax(-1), value)


@spelling("positions", _same_length)
def causal_key_major(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    ours, theirs = torch.arange(query.shape[-2]), torch.arange(key.shape[-2])[:, None]
    scores = (key @ query.mT).masked_fill(theirs > ours, MINUS_INFINITY)
    return scores.softmax(-2).mT @ value


@spelling("positions", heads)
def alibi(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    ours, theirs = _positions(query, key)
    slopes = torch.tensor([0.5, 0.25, 0.125]).view(H, 1, 1)
    return (_scores(query, key) - slopes * (ours - theirs).abs()).softmax(-1) @ value


@spelling("positions", _same_length)
def alibi_causal(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    ours, theirs = _positions(query, key)
    bias = 2.0 ** -torch.arange(1.0, H + 1).view(H, 1, 1) * (theirs - ours)
    return (_scores(query, key) + bias).masked_fill(theirs > ours, MINUS_INFINITY).softmax(-1) @ value


@spelling("positions", heads)
class BucketedBias(nn.Module):
    """A learned number for every head and logarithmic bucket of distance (T5)."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(8, H)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        ours, theirs = _positions(query, key)
        distance = theirs - ours
        far = 2 + (torch.log(distance.abs().float().clamp(min=1) / 2) / 1.4 * 2).long()
        bucket = torch.where(distance.abs() < 2, distance.abs(), far.clamp(max=3)) + (distance > 0).long() * 4
        bias = self.table(bucket).permute(2, 0, 1).unsqueeze(0)
        return (query @ key.mT + bias).softmax(-1) @ value


@spelling("positions", lambda: (normal(B, H, 6, D), normal(B, H, 6, D), normal(B, H, 6, D)))
class WindowTable(nn.Module):
    """A table of 2x3 windows' relative offsets, read through an index buffer (Swin)."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(3 * 5, H))
        place = torch.stack(torch.meshgrid(torch.arange(2), torch.arange(3), indexing="ij")).flatten(1)
        offset = place[:, :, None] - place[:, None, :]
        self.index = nn.Buffer((offset[0] + 1) * 5 + offset[1] + 2)

    def bias(self) -> Tensor:
        """(H,6,6)."""
        return self.table[self.index.view(-1)].view(6, 6, -1).permute(2, 0, 1).contiguous()

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return ((query * SCALE) @ key.transpose(-2, -1) + self.bias().unsqueeze(0)).softmax(-1) @ value


@spelling(
    "positions", lambda: (normal(4, H, 6, D), normal(4, H, 6, D), normal(4, H, 6, D), -100.0 * (normal(2, 6, 6) > 0.6))
)
class ShiftedWindows(WindowTable):
    """Two windows a sample, folded into the batch, each with a mask of its own added in a five-dimensional view."""

    def forward(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        scores = (query * SCALE) @ key.transpose(-2, -1) + self.bias().unsqueeze(0)
        scores = scores.view(-1, 2, H, 6, 6) + mask.unsqueeze(1).unsqueeze(0)
        return scores.view(-1, H, 6, 6).softmax(-1) @ value


@spelling("positions", lambda: (normal(B, H, 6, D), normal(B, H, 6, D), normal(B, H, 6, D)))
class BiasFromCoordinates(nn.Module):
    """A small network of relative coordinates gives the bias (continuous position bias)."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(1, 9), nn.SiLU(), nn.Linear(9, H))

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        ours, theirs = _positions(query, key)
        distance = (ours - theirs).float().unsqueeze(-1)
        bias = self.net(distance.sign() * (distance.abs() + 1).log()).movedim(-1, 0)
        return (_scores(query, key) + bias).softmax(-1) @ value


@spelling("positions", lambda: (normal(B, H, 6, D), normal(B, H, 6, D), normal(B, H, 6, D)), either=True)
class BiasOfQueriesByRowAndColumn(nn.Module):
    """Rows and columns of a 2x3 grid have embeddings that queries are multiplied with (SAM, MViT)."""

    def __init__(self) -> None:
        super().__init__()
        self.rows, self.columns = nn.Parameter(torch.zeros(2, 2, D)), nn.Parameter(torch.zeros(3, 3, D))

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        grid = query.view(B, H, 2, 3, D)
        rows = torch.einsum("bnhwc,hkc->bnhwk", grid, self.rows)[..., :, None]
        columns = torch.einsum("bnhwc,wkc->bnhwk", grid, self.columns)[..., None, :]
        scores = _scores(query, key).view(B, H, 2, 3, 2, 3) + rows + columns
        return scores.view(B, H, 6, 6).softmax(-1) @ value


@spelling("positions", tokens_first, either=True)
class RelativeKeys(nn.Module):
    """Keys of distances, multiplied with the query beside the keys of tokens (Shaw)."""

    def __init__(self) -> None:
        super().__init__()
        self.distances = nn.Embedding(Q + K, D)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        ours, theirs = torch.arange(query.shape[1])[:, None], torch.arange(key.shape[1])[None]
        scores = torch.einsum("bihd,bjhd->bhij", query, key)
        scores = scores + torch.einsum("bihd,ijd->bhij", query, self.distances(ours - theirs + K))
        return torch.einsum("bhij,bjhd->bihd", (scores * SCALE).softmax(-1), value)


@spelling("positions", _same_length)
def rotated(self: nn.Module, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    angles = torch.arange(query.shape[-2])[:, None] * torch.tensor([1.0, 0.3, 0.1, 0.03])
    cosine, sine = angles.cos().repeat(1, 2), angles.sin().repeat(1, 2)

    def rotate(part: Tensor) -> Tensor:
        left, right = part.chunk(2, dim=-1)
        return part * cosine + torch.cat([-right, left], dim=-1) * sine

    return F.softmax(torch.matmul(rotate(query), rotate(key).transpose(2, 3)) * SCALE, dim=-1) @ value


@spelling("positions", lambda: (*heads(), normal(K, D)), 2)
def bias_of_attended_queries(self: nn.Module, query: Tensor, key: Tensor, value: Tensor, places: Tensor) -> Tensor:
    """The bias comes from states that went through an attention, and a dropout that is off."""
    states = F.dropout((query @ key.mT).softmax(-1) @ value, 0.1, self.training)
    return (states @ key.mT + torch.einsum("bhqd,kd->bhqk", states, places)).softmax(-1) @ value
