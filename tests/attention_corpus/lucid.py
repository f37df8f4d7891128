"""Attention after the manner of lucidrains' models: imagen, parti, phenaki, muse, make-a-video, DALL-E 2's prior."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.attention_corpus.spelling import B, D, H, K, Q, keep, normal, spelling, tokens, tokens_and_context

WIDTH = H * D
CONTEXT = 10


def _to_heads(part: Tensor) -> Tensor:
    """b n (h d) -> b h n d."""
    return part.unflatten(-1, (H, D)).transpose(1, 2)


def _from_heads(part: Tensor) -> Tensor:
    """b h n d -> b n (h d)."""
    return part.transpose(1, 2).flatten(2)


class _Base(nn.Module):
    """Norm, query, joint keys and values (of `key_heads` heads), output."""

    def __init__(self, context: int = WIDTH, key_heads: int = H) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.to_q, self.to_kv = nn.Linear(WIDTH, WIDTH, bias=False), nn.Linear(context, 2 * key_heads * D, bias=False)
        self.to_out = nn.Linear(WIDTH, WIDTH, bias=False)
        self.null_kv = nn.Parameter(torch.randn(2, D))


@spelling("lucid", lambda: (*tokens_and_context(), keep(B, Q)))
class ImagenAttention(_Base):
    """One head of keys, a learned null token, text tokens before it, cosine similarity, a mask padded for both."""

    def __init__(self) -> None:
        super().__init__(key_heads=1)
        self.q_scale, self.k_scale = nn.Parameter(torch.ones(D)), nn.Parameter(torch.ones(D))
        self.to_context = nn.Sequential(nn.LayerNorm(CONTEXT), nn.Linear(CONTEXT, 2 * D))

    def forward(self, states: Tensor, context: Tensor, mask: Tensor) -> Tensor:
        states = self.norm(states)
        query = _to_heads(self.to_q(states))
        key, value = self.to_kv(states).chunk(2, dim=-1)
        null_key, null_value = (part.expand(states.shape[0], 1, D) for part in self.null_kv.unbind(dim=-2))
        text_key, text_value = self.to_context(context).chunk(2, dim=-1)
        key = torch.cat((text_key, null_key, key), dim=-2)
        value = torch.cat((text_value, null_value, value), dim=-2)
        query, key = F.normalize(query, dim=-1) * self.q_scale, F.normalize(key, dim=-1) * self.k_scale
        scores = torch.einsum("b h i d, b j d -> b h i j", query, key) * 8
        seen = F.pad(mask, (K + 1, 0), value=True)[:, None, None, :]
        scores = scores.masked_fill(~seen, -torch.finfo(scores.dtype).max)
        weights = scores.softmax(dim=-1, dtype=torch.float32).to(scores.dtype)
        return self.to_out(_from_heads(torch.einsum("b h i j, b j d -> b h i d", weights, value)))


@spelling("lucid", lambda: (*tokens_and_context(), keep(B, K)))
class ImagenCrossAttention(_Base):
    def __init__(self) -> None:
        super().__init__(CONTEXT)

    def forward(self, states: Tensor, context: Tensor, mask: Tensor) -> Tensor:
        key, value = self.to_kv(context).chunk(2, dim=-1)
        query, key, value = (_to_heads(part) for part in (self.to_q(self.norm(states)), key, value))
        null_key, null_value = (part.expand(states.shape[0], H, 1, D) for part in self.null_kv.unbind(dim=-2))
        key, value = torch.cat((null_key, key), dim=-2), torch.cat((null_value, value), dim=-2)
        query, key = F.normalize(query, dim=-1), F.normalize(key, dim=-1)
        scores = torch.einsum("b h i d, b h j d -> b h i j", query, key) * 8
        seen = F.pad(mask, (1, 0), value=True).unsqueeze(1).unsqueeze(1)
        weights = scores.masked_fill(~seen, -torch.finfo(scores.dtype).max).softmax(dim=-1, dtype=torch.float32)
        return self.to_out(_from_heads(torch.einsum("b h i j, b h j d -> b h i d", weights, value)))


@spelling("lucid", lambda: (*tokens_and_context(), keep(B, K)))
class ImagenCrossAttentionFolded(ImagenCrossAttention):
    """Heads folded into the batch and the mask repeated for them."""

    def forward(self, states: Tensor, context: Tensor, mask: Tensor) -> Tensor:
        key, value = self.to_kv(context).chunk(2, dim=-1)
        parts = (_to_heads(part) for part in (self.to_q(self.norm(states)), key, value))
        query, key, value = (part.reshape(-1, part.shape[2], D) for part in parts)
        null_key, null_value = (part.expand(query.shape[0], 1, D) for part in self.null_kv.unbind(dim=-2))
        key, value = torch.cat((null_key, key), dim=-2), torch.cat((null_value, value), dim=-2)
        scores = torch.einsum("b i d, b j d -> b i j", query * D**-0.5, key)
        seen = F.pad(mask, (1, 0), value=True).repeat_interleave(H, dim=0)[:, None, :]
        weights = scores.masked_fill(~seen, -torch.finfo(scores.dtype).max).softmax(dim=-1)
        mixed = torch.einsum("b i j, b j d -> b i d", weights, value)
        return self.to_out(_from_heads(mixed.view(-1, H, mixed.shape[1], D)))


@spelling("lucid", lambda: (*tokens(), torch.tensor([[True, True, True, True, False], [True] * 5])))
class PartiCausalAttention(_Base):
    """One head of keys, a position bias, padding and triangle in turn."""

    def __init__(self) -> None:
        super().__init__(key_heads=1)
        self.bias = nn.Embedding(2 * Q, H)

    def forward(self, states: Tensor, padding: Tensor) -> Tensor:
        states = self.norm(states)
        query = _to_heads(self.to_q(states)) * D**-0.5
        key, value = self.to_kv(states).chunk(2, dim=-1)
        scores = torch.einsum("b h i d, b j d -> b h i j", query, key)
        place = torch.arange(states.shape[1])
        scores = scores + self.bias(place[:, None] - place[None, :] + Q).permute(2, 0, 1)
        lowest = -torch.finfo(scores.dtype).max
        scores = scores.masked_fill(~padding[:, None, None, :], lowest)
        i, j = scores.shape[-2:]
        scores = scores.masked_fill(torch.ones((i, j), dtype=torch.bool).triu(j - i + 1), lowest)
        weights = scores.softmax(dim=-1, dtype=torch.float32)
        return self.to_out(_from_heads(torch.einsum("b h i j, b j d -> b h i d", weights, value)))


@spelling("lucid", tokens)
class PhenakiCosineAttention(_Base):
    """C-ViViT: cosine similarity, null tokens a head, a bias from coordinates, a scale of 8 or so."""

    def __init__(self) -> None:
        super().__init__()
        self.null_kv = nn.Parameter(torch.randn(H, 2 * 2, D))
        self.q_scale, self.k_scale = nn.Parameter(torch.ones(D)), nn.Parameter(torch.ones(D))
        self.net = nn.Sequential(nn.Linear(1, 6), nn.LeakyReLU(0.1), nn.Linear(6, H))

    def bias(self, length: int) -> Tensor:
        """(H,L,L)."""
        place = torch.arange(length, dtype=torch.float32)
        distance = (place[:, None] - place[None, :]).unsqueeze(-1)
        return self.net(torch.sign(distance) * torch.log(distance.abs() + 1)).permute(2, 0, 1)

    def forward(self, states: Tensor) -> Tensor:
        states = self.norm(states)
        query, key, value = (_to_heads(x) for x in (self.to_q(states), *self.to_kv(states).chunk(2, dim=-1)))
        nulls = self.null_kv.expand(states.shape[0], -1, -1, -1).unflatten(2, (2, 2))
        key, value = torch.cat((nulls[..., 0, :], key), dim=-2), torch.cat((nulls[..., 1, :], value), dim=-2)
        query, key = F.normalize(query, dim=-1) * self.q_scale, F.normalize(key, dim=-1) * self.k_scale
        scores = torch.einsum("b h i d, b h j d -> b h i j", query, key) * 8
        scores = scores + F.pad(self.bias(states.shape[1]), (2, 0), value=0.0)
        return self.to_out(_from_heads(torch.einsum("b h i j, b h j d -> b h i d", scores.softmax(dim=-1), value)))


@spelling("lucid", lambda: (normal(B, 3, 2, 2, WIDTH),), attentions=2)
class PhenakiSpaceAndTime(nn.Module):
    """(B,T,H,W,C): spatial attention with a bias, then causal temporal attention with ALiBi."""

    def __init__(self) -> None:
        super().__init__()
        self.space, self.time = PhenakiCosineAttention(), _CausalAlibi()

    def forward(self, video: Tensor) -> Tensor:
        b, t, h, w, c = video.shape
        video = video + self.space(video.reshape(b * t, h * w, c)).reshape(video.shape)
        columns = video.permute(0, 2, 3, 1, 4).reshape(b * h * w, t, c)
        return video + self.time(columns).reshape(b, h, w, t, c).permute(0, 3, 1, 2, 4)


class _CausalAlibi(_Base):
    def forward(self, states: Tensor) -> Tensor:
        states = self.norm(states)
        query, key, value = (_to_heads(x) for x in (self.to_q(states), *self.to_kv(states).chunk(2, dim=-1)))
        scores = torch.einsum("b h i d, b h j d -> b h i j", F.normalize(query, dim=-1), F.normalize(key, dim=-1)) * 8
        length = states.shape[1]
        place = torch.arange(length)
        slopes = torch.tensor([2**-4.0, 2**-8.0, 2**-2.0]).view(-1, 1, 1)
        scores = scores - (place[None, None, :] - place[None, :, None]).abs() * slopes
        later = torch.ones((length, length), dtype=torch.bool).triu(1)
        weights = scores.masked_fill(later, -torch.finfo(scores.dtype).max).softmax(dim=-1)
        return self.to_out(_from_heads(torch.einsum("b h i j, b h j d -> b h i d", weights, value)))


@spelling("lucid", lambda: (*tokens_and_context(), keep(B, K)), attentions=2)
class MuseLayer(nn.Module):
    """Self-attention, then cross-attention to text; null tokens in both, cosine similarity."""

    def __init__(self) -> None:
        super().__init__()
        self.mine, self.theirs = _MuseAttention(), _MuseAttention(CONTEXT)

    def forward(self, states: Tensor, text: Tensor, mask: Tensor) -> Tensor:
        states = states + self.mine(states, states, None)
        return states + self.theirs(states, text, mask)


class _MuseAttention(_Base):
    def __init__(self, context: int = WIDTH) -> None:
        super().__init__(context)
        self.null_kv = nn.Parameter(torch.randn(2, H, 1, D))
        self.q_scale, self.k_scale = nn.Parameter(torch.ones(D)), nn.Parameter(torch.ones(D))

    def forward(self, states: Tensor, context: Tensor, mask: Tensor | None) -> Tensor:
        key, value = self.to_kv(context).chunk(2, dim=-1)
        query, key, value = (_to_heads(part) for part in (self.to_q(self.norm(states)), key, value))
        null_key, null_value = (part.unsqueeze(0).expand(states.shape[0], -1, -1, -1) for part in self.null_kv)
        key, value = torch.cat((null_key, key), dim=-2), torch.cat((null_value, value), dim=-2)
        query, key = F.normalize(query, dim=-1) * self.q_scale, F.normalize(key, dim=-1) * self.k_scale
        scores = torch.einsum("b h i d, b h j d -> b h i j", query, key) * 8
        if mask is not None:
            seen = F.pad(mask[:, None, None, :], (1, 0), value=True)
            scores = torch.where(seen, scores, -torch.finfo(scores.dtype).max)
        return self.to_out(_from_heads(torch.einsum("b h i j, b h j d -> b h i d", scores.softmax(dim=-1), value)))


@spelling("lucid", lambda: (normal(B, WIDTH, 3, 2, 2),), attentions=2)
class MakeAVideoSpaceTime(nn.Module):
    """(B,C,F,H,W): attention over space, then over frames with a relative bias, channels first between."""

    def __init__(self) -> None:
        super().__init__()
        self.space, self.time = _MakeAVideoAttention(), _MakeAVideoAttention()
        self.bias = nn.Parameter(torch.randn(H, 3, 3))

    def forward(self, video: Tensor) -> Tensor:
        b, c, f, h, w = video.shape
        frames = video.permute(0, 2, 3, 4, 1).reshape(b * f, h * w, c)
        video = (self.space(frames, None) + frames).view(b, f, h, w, c).permute(0, 4, 1, 2, 3)
        lines = video.permute(0, 3, 4, 2, 1).reshape(b * h * w, f, c)
        return (self.time(lines, self.bias) + lines).view(b, h, w, f, c).permute(0, 4, 3, 1, 2)


class _MakeAVideoAttention(_Base):
    def forward(self, states: Tensor, bias: Tensor | None) -> Tensor:
        states = self.norm(states)
        query, key, value = (_to_heads(x) for x in (self.to_q(states), *self.to_kv(states).chunk(2, dim=-1)))
        scores = torch.einsum("b h i d, b h j d -> b h i j", query * D**-0.5, key)
        scores = scores if bias is None else scores + bias
        return self.to_out(_from_heads(torch.einsum("b h i j, b h j d -> b h i d", scores.softmax(dim=-1), value)))


@spelling("lucid", lambda: (*tokens(), keep(B, Q)))
class PriorAttention(_Base):
    """DALL-E 2's prior: rotated half of the width, one head of keys, maximum subtracted, causal, float32 softmax."""

    def __init__(self) -> None:
        super().__init__(key_heads=1)

    def rotate(self, part: Tensor) -> Tensor:
        """The first half of the channels turned by the position."""
        angles = (torch.arange(part.shape[-2])[:, None] * torch.tensor([1.0, 0.1])).repeat_interleave(2, dim=-1)
        turned, rest = part[..., : D // 2], part[..., D // 2 :]
        left, right = turned.unflatten(-1, (-1, 2)).unbind(dim=-1)
        swapped = torch.stack((-right, left), dim=-1).flatten(-2)
        return torch.cat((turned * angles.cos() + swapped * angles.sin(), rest), dim=-1)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        states = self.norm(states)
        query = self.rotate(_to_heads(self.to_q(states)) * D**-0.5)
        key, value = self.to_kv(states).chunk(2, dim=-1)
        null_key, null_value = (part.expand(states.shape[0], 1, D) for part in self.null_kv.unbind(dim=-2))
        key, value = torch.cat((null_key, self.rotate(key)), dim=-2), torch.cat((null_value, value), dim=-2)
        scores = torch.einsum("b h i d, b j d -> b h i j", query, key)
        lowest = -torch.finfo(scores.dtype).max
        scores = scores.masked_fill(~F.pad(mask, (1, 0), value=True)[:, None, None, :], lowest)
        i, j = scores.shape[-2:]
        scores = scores.masked_fill(torch.ones((i, j), dtype=torch.bool).triu(j - i + 1), lowest)
        scores = scores - scores.amax(dim=-1, keepdim=True).detach()
        weights = scores.softmax(dim=-1, dtype=torch.float32).type(scores.dtype)
        return self.to_out(_from_heads(torch.einsum("b h i j, b j d -> b h i d", weights, value)))
