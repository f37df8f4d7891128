"""How heads come out of projections and go back: views, chunks, folding into the batch, channels first."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.attention_corpus.spelling import B, D, H, Inputs, image, normal, spelling, tokens, tokens_and_context

WIDTH = H * D
SCALE = D**-0.5
Triple = tuple[Tensor, Tensor, Tensor]


class SelfAttention(nn.Module):
    """Projections, a way to split heads, attention as most people write it, a way to merge heads."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)

    def split(self, states: Tensor) -> Triple:
        """Query, key and value (B,H,Q,D) of states (B,Q,C)."""
        parts = self.qkv(states).chunk(3, dim=-1)
        query, key, value = (part.view(*part.shape[:2], H, D).transpose(1, 2) for part in parts)
        return query, key, value

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Values (B,H,Q,D) mixed by the probabilities."""
        return (query @ key.transpose(-2, -1) * SCALE).softmax(dim=-1) @ value

    def merge(self, mixed: Tensor) -> Tensor:
        """(B,H,Q,D) back to (B,Q,C)."""
        return mixed.transpose(1, 2).flatten(2)

    def forward(self, states: Tensor) -> Tensor:
        """(B,Q,C) to (B,Q,C)."""
        return self.out(self.merge(self.attend(*self.split(states))))


@spelling("layouts", tokens)
class HeadsByView(SelfAttention):
    pass


def _splitting(name: str, split: Callable[[Tensor], Triple], inputs: Inputs = tokens) -> None:
    """Registers a SelfAttention whose heads come from `split`, given what the joint projection returns."""
    method = {"split": lambda self, states: split(self.qkv(states)), "__module__": __name__}
    spelling("layouts", inputs)(type(name, (SelfAttention,), method))


def _three(parts: Tensor, axis: int) -> Triple:
    query, key, value = parts.unbind(axis)
    return query, key, value


_splitting("HeadsByReshapeAndPermute", lambda x: _three(x.reshape(B, -1, 3, H, D).permute(2, 0, 3, 1, 4), 0))
_splitting("HeadsBeforeThree", lambda x: _three(x.view(B, -1, H, 3, D).permute(0, 2, 3, 1, 4), 2))
_splitting("HeadsByUnflatten", lambda x: _three(x.unflatten(-1, (3, H, D)).transpose(1, 3), 2))
_splitting("HeadsByOneChunkPerHead", lambda x: _three(x.view(B, -1, H, 3 * D).transpose(1, 2).unflatten(-1, (3, D)), 3))
_splitting("HeadsByMovedim", lambda x: _three(x.unflatten(-1, (3, H, D)).movedim((2, 3), (0, 2)), 0))
_splitting("HeadsWidthBeforeHead", lambda x: _three(x.view(B, -1, 3, D, H).permute(2, 0, 4, 1, 3), 0))
_splitting("HeadsBySlicesOfWidth", lambda x: _sliced(x))
_splitting("HeadsBySplitSizes", lambda x: _views(x.split([WIDTH, WIDTH, WIDTH], dim=2)))
_splitting("HeadsByTensorSplit", lambda x: _views(x.tensor_split(3, dim=2)))
_splitting("HeadsByStackedChunks", lambda x: _stacked_chunks(x))


def _views(parts: tuple[Tensor, ...]) -> Triple:
    query, key, value = (part.reshape(B, -1, H, D).swapaxes(1, 2) for part in parts)
    return query, key, value


def _sliced(joint: Tensor) -> Triple:
    return _views((joint[..., :WIDTH], joint[..., WIDTH : 2 * WIDTH], joint[..., 2 * WIDTH :]))


def _stacked_chunks(joint: Tensor) -> Triple:
    query, key, value = (torch.stack(part.chunk(H, dim=-1), dim=1) for part in joint.chunk(3, dim=-1))
    return query, key, value


@spelling("layouts", tokens)
class HeadsFoldedIntoTheBatch(SelfAttention):
    def split(self, states: Tensor) -> Triple:
        query, key, value = (part.reshape(-1, part.shape[2], D).contiguous() for part in super().split(states))
        return query, key, value

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return torch.bmm(F.softmax(torch.bmm(query, key.transpose(1, 2)) * SCALE, dim=-1), value)

    def merge(self, mixed: Tensor) -> Tensor:
        mixed = mixed.reshape(-1, H, mixed.shape[1], D).permute(0, 2, 1, 3)
        return mixed.reshape(mixed.shape[0], mixed.shape[1], WIDTH)


@spelling("layouts", tokens)
class HeadsFoldedBeforeTheBatch(HeadsFoldedIntoTheBatch):
    def split(self, states: Tensor) -> Triple:
        query, key, value = (torch.cat(part.split(D, dim=-1), dim=0) for part in self.qkv(states).chunk(3, dim=-1))
        return query, key, value

    def merge(self, mixed: Tensor) -> Tensor:
        return torch.cat(mixed.chunk(H, dim=0), dim=-1)


@spelling("layouts", tokens)
class ContiguousEverywhere(SelfAttention):
    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        scores = query.contiguous() @ key.transpose(-2, -1).contiguous() * SCALE
        return (scores.contiguous().softmax(dim=-1).contiguous() @ value.contiguous()).contiguous()


@spelling("layouts", tokens)
class ClonesEverywhere(SelfAttention):
    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        probabilities = (query.clone() @ key.mT.clone() * SCALE).clone().softmax(dim=-1).clone()
        return (probabilities @ value).clone()


@spelling("layouts", tokens)
class ScoresFoldedBetween(SelfAttention):
    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        scores = query @ key.mT * SCALE
        probabilities = scores.reshape(-1, scores.shape[-1]).softmax(dim=1).view(scores.shape)
        return torch.bmm(probabilities.flatten(0, 1), value.flatten(0, 1)).unflatten(0, (B, H))


@spelling("layouts", tokens)
class ScoresTransposedForSoftmax(SelfAttention):
    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        scores = (query @ key.mT * SCALE).permute(3, 0, 1, 2)
        return scores.softmax(dim=0).permute(1, 2, 3, 0) @ value


@spelling("layouts", tokens)
class EinsumFromTokensFirst(SelfAttention):
    def split(self, states: Tensor) -> Triple:
        return _three(self.qkv(states).unflatten(-1, (3, H, D)), 2)

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        probabilities = torch.einsum("bqhc,bkhc->bhqk", query * SCALE, key).softmax(dim=-1)
        return torch.einsum("bhqk,bkhc->bqhc", probabilities, value)

    def merge(self, mixed: Tensor) -> Tensor:
        return mixed.flatten(2)


@spelling("layouts", tokens, attentions=H)
class HeadsOneByOne(SelfAttention):
    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        one = super().attend
        return torch.stack([one(query[:, h], key[:, h], value[:, h]) for h in range(H)], dim=1)


@spelling("layouts", tokens)
class WeightsByHead(nn.Module):
    """Projections as one matrix a head, output as a contraction over heads and widths."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Parameter(0.2 * torch.randn(H, WIDTH, D)) for _ in range(3))
        self.out = nn.Parameter(0.2 * torch.randn(H, D, WIDTH))

    def forward(self, states: Tensor) -> Tensor:
        query, key, value = (torch.einsum("bnc,hcd->bhnd", states, w) for w in (self.query, self.key, self.value))
        mixed = torch.einsum("bhij,bhjd->bhid", (query @ key.mT * SCALE).softmax(-1), value)
        return torch.einsum("bhid,hdc->bic", mixed, self.out)


@spelling("layouts", tokens_and_context)
class CrossWithJointKeysAndValues(nn.Module):
    """Keys and values of a context from one projection."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.both = nn.Linear(WIDTH, WIDTH, bias=False), nn.Linear(10, 2 * WIDTH, bias=False)

    def forward(self, states: Tensor, context: Tensor) -> Tensor:
        key, value = self.both(context).chunk(2, dim=-1)
        query, key, value = (x.unflatten(-1, (H, D)).transpose(1, 2) for x in (self.query(states), key, value))
        return ((query * SCALE) @ key.mT).softmax(-1).matmul(value).transpose(1, 2).flatten(2)


@spelling("layouts", lambda: (normal(B, 7, WIDTH),))
class LearnedQueries(nn.Module):
    """A resampler: four learned queries, the same for the whole batch."""

    def __init__(self) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.randn(4, WIDTH))
        self.both = nn.Linear(WIDTH, 2 * WIDTH)

    def forward(self, states: Tensor) -> Tensor:
        key, value = self.both(states).chunk(2, dim=-1)
        query = self.latents.expand(states.shape[0], -1, -1)
        query, key, value = (x.unflatten(-1, (H, D)).transpose(1, 2) for x in (query, key, value))
        return ((query @ key.mT) * SCALE).softmax(-1).matmul(value).transpose(1, 2).flatten(2)


@spelling("layouts", image)
class ConvolvedChannelsFirst(nn.Module):
    """One 1x1 convolution for all three, heads of channels, positions last."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Conv2d(12, 3 * WIDTH, 1, bias=False), nn.Conv2d(WIDTH, 12, 1)

    def forward(self, states: Tensor) -> Tensor:
        height, width = states.shape[-2:]
        query, key, value = self.qkv(states).reshape(-1, 3, H, D, height * width).unbind(1)
        probabilities = torch.einsum("b h d i, b h d j -> b h i j", query * SCALE, key).softmax(dim=-1)
        mixed = torch.einsum("b h i j, b h d j -> b h i d", probabilities, value)
        return self.out(mixed.transpose(2, 3).reshape(-1, WIDTH, height, width))


@spelling("layouts", image)
class ConvolvedKeysPooled(nn.Module):
    """Keys and values from a strided convolution: fewer keys than queries (PVT, Segformer)."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.both = nn.Linear(12, 12), nn.Linear(12, 24)
        self.pool = nn.Conv2d(12, 12, kernel_size=2, stride=2)

    def forward(self, states: Tensor) -> Tensor:
        query = self.query(states.flatten(2).transpose(1, 2)).unflatten(-1, (2, 6)).transpose(1, 2)
        key, value = self.both(self.pool(states).flatten(2).mT).unflatten(-1, (2, 2, 6)).permute(2, 0, 3, 1, 4)
        return ((query @ key.mT) * 6**-0.5).softmax(-1).matmul(value).permute(0, 1, 3, 2).reshape(states.shape)
