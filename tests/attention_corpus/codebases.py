"""Attention blocks after the manner of well-known code: CompVis, ADM, NCSN++, DiT, GPT, U-ViT, fairseq, DETR, torch."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.attention_corpus.spelling import (
    B,
    D,
    H,
    K,
    Q,
    additive,
    image,
    keep,
    normal,
    spelling,
    tokens,
    tokens_and_context,
)

WIDTH = H * D


class _CompVis(nn.Module):
    """Three projections without bias, one with."""

    def __init__(self, context: int = WIDTH) -> None:
        super().__init__()
        self.to_q = nn.Linear(WIDTH, WIDTH, bias=False)
        self.to_k, self.to_v = nn.Linear(context, WIDTH, bias=False), nn.Linear(context, WIDTH, bias=False)
        self.to_out = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Dropout(0.1))

    def fold(self, part: Tensor) -> Tensor:
        """b n (h d) -> (b h) n d."""
        return part.unflatten(-1, (H, D)).permute(0, 2, 1, 3).reshape(-1, part.shape[1], D)

    def unfold(self, part: Tensor) -> Tensor:
        """(b h) n d -> b n (h d)."""
        return part.reshape(-1, H, part.shape[1], D).permute(0, 2, 1, 3).reshape(-1, part.shape[1], WIDTH)


@spelling("codebases", tokens)
class CompVisSelfAttention(_CompVis):
    def forward(self, states: Tensor) -> Tensor:
        query, key, value = (self.fold(layer(states)) for layer in (self.to_q, self.to_k, self.to_v))
        scores = torch.einsum("b i d, b j d -> b i j", query, key) * D**-0.5
        return self.to_out(self.unfold(torch.einsum("b i j, b j d -> b i d", scores.softmax(dim=-1), value)))


@spelling("codebases", lambda: (*tokens_and_context(), keep(B, K)))
class CompVisCrossAttentionMasked(_CompVis):
    def __init__(self) -> None:
        super().__init__(10)

    def forward(self, states: Tensor, context: Tensor, mask: Tensor) -> Tensor:
        query, key, value = self.fold(self.to_q(states)), self.fold(self.to_k(context)), self.fold(self.to_v(context))
        scores = torch.einsum("b i d, b j d -> b i j", query, key) * D**-0.5
        seen = mask[:, None, None, :].expand(-1, H, 1, -1).reshape(-1, 1, mask.shape[1])
        scores.masked_fill_(~seen, -torch.finfo(scores.dtype).max)
        return self.to_out(self.unfold(torch.einsum("b i j, b j d -> b i d", scores.softmax(dim=-1), value)))


@spelling("codebases", tokens_and_context, dtype=None)
class CompVisCrossAttentionUpcast(CompVisCrossAttentionMasked):
    """Stability's variant: the product in float32 whatever the weights are."""

    def forward(self, states: Tensor, context: Tensor) -> Tensor:
        query, key, value = self.fold(self.to_q(states)), self.fold(self.to_k(context)), self.fold(self.to_v(context))
        with torch.autocast("cpu", enabled=False):
            scores = torch.einsum("b i d, b j d -> b i j", query.float(), key.float()) * D**-0.5
        return self.to_out(self.unfold(torch.einsum("b i j, b j d -> b i d", scores.softmax(dim=-1), value)))


class _ConvolvedBlock(nn.Module):
    """A group norm and 1x1 convolutions around attention over all positions."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(3, 12)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(12, 12, 1) for _ in range(4))


@spelling("codebases", image)
class CompVisAutoencoderBlock(_ConvolvedBlock):
    """The scores are key-major in the second product: values (c,hw) times transposed probabilities."""

    def forward(self, states: Tensor) -> Tensor:
        hidden = self.norm(states)
        query, key, value = self.q(hidden), self.k(hidden), self.v(hidden)
        b, c, h, w = query.shape
        query = query.reshape(b, c, h * w).permute(0, 2, 1)
        scores = torch.bmm(query, key.reshape(b, c, h * w)) * (int(c) ** (-0.5))
        weights = F.softmax(scores, dim=2).permute(0, 2, 1)
        return states + self.proj_out(torch.bmm(value.reshape(b, c, h * w), weights).reshape(b, c, h, w))


@spelling("codebases", image)
class ScoreModelBlock(_ConvolvedBlock):
    """Four-dimensional einsum over maps, both key axes flattened for the softmax (DDPM, NCSN++)."""

    def forward(self, states: Tensor) -> Tensor:
        hidden = self.norm(states)
        query, key, value = self.q(hidden), self.k(hidden), self.v(hidden)
        b, c, h, w = states.shape
        weights = torch.einsum("bchw,bcij->bhwij", query, key) * c**-0.5
        weights = F.softmax(weights.reshape(b, h, w, h * w), dim=-1).reshape(b, h, w, h, w)
        mixed = torch.einsum("bhwij,bcij->bchw", weights, value)
        return (states + self.proj_out(mixed)) / math.sqrt(2.0)


class _GuidedDiffusion(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.qkv, self.proj_out = nn.GroupNorm(3, 12), nn.Conv1d(12, 36, 1), nn.Conv1d(12, 12, 1)

    def mix(self, qkv: Tensor) -> Tensor:
        """(N,3C,T) to (N,C,T)."""
        raise NotImplementedError

    def forward(self, states: Tensor) -> Tensor:
        flat = states.reshape(*states.shape[:2], -1)
        return (flat + self.proj_out(self.mix(self.qkv(self.norm(flat))))).reshape(states.shape)


@spelling("codebases", image)
class GuidedDiffusionLegacy(_GuidedDiffusion):
    """Heads are split before query, key and value; the scale is split on both; softmax in float32."""

    def mix(self, qkv: Tensor) -> Tensor:
        bs, width, length = qkv.shape
        ch = width // (2 * 3)
        query, key, value = qkv.reshape(bs * 2, ch * 3, length).split(ch, dim=1)
        scale = 1 / math.sqrt(math.sqrt(ch))
        weight = torch.einsum("bct,bcs->bts", query * scale, key * scale)
        weight = torch.softmax(weight.float(), dim=-1).type(weight.dtype)
        return torch.einsum("bts,bcs->bct", weight, value).reshape(bs, -1, length)


@spelling("codebases", image)
class GuidedDiffusion(_GuidedDiffusion):
    """Query, key and value are split before heads."""

    def mix(self, qkv: Tensor) -> Tensor:
        bs, width, length = qkv.shape
        ch = width // (3 * 2)
        query, key, value = qkv.chunk(3, dim=1)
        scale = 1 / math.sqrt(math.sqrt(ch))
        one = (query * scale).view(bs * 2, ch, length)
        two = (key * scale).view(bs * 2, ch, length)
        weight = torch.softmax(torch.einsum("bct,bcs->bts", one, two).float(), dim=-1).type(query.dtype)
        return torch.einsum("bts,bcs->bct", weight, value.reshape(bs * 2, ch, length)).reshape(bs, -1, length)


@spelling("codebases", tokens)
class VisionTransformer(nn.Module):
    """timm's block, which DiT uses: joint projection, scaled query."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.proj, self.attn_drop = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH), nn.Dropout(0.1)
        self.q_norm, self.k_norm = nn.LayerNorm(D), nn.LayerNorm(D)

    def forward(self, states: Tensor) -> Tensor:
        b, n, c = states.shape
        query, key, value = self.qkv(states).reshape(b, n, 3, H, D).permute(2, 0, 3, 1, 4).unbind(0)
        query, key = self.q_norm(query) * D**-0.5, self.k_norm(key)
        weights = self.attn_drop((query @ key.transpose(-2, -1)).softmax(dim=-1))
        return self.proj((weights @ value).transpose(1, 2).reshape(b, n, c))


@spelling("codebases", tokens)
class UViT(VisionTransformer):
    """The plain path of U-ViT: "B L (K H D)" with float32 scores."""

    def forward(self, states: Tensor) -> Tensor:
        length, width = states.shape[1:]
        parts = self.qkv(states).view(-1, length, 3, H, D).permute(2, 0, 3, 1, 4).float()
        query, key, value = parts[0], parts[1], parts[2]
        weights = self.attn_drop((query @ key.transpose(-2, -1) * D**-0.5).softmax(-1))
        return self.proj((weights @ value).transpose(1, 2).reshape(-1, length, width))


@spelling("codebases", tokens)
class MinGpt(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.c_attn, self.c_proj, self.drop = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH), nn.Dropout(0.1)
        self.bias = nn.Buffer(torch.tril(torch.ones(16, 16)).view(1, 1, 16, 16))

    def forward(self, states: Tensor) -> Tensor:
        b, t, c = states.size()
        query, key, value = (
            part.view(b, t, H, c // H).transpose(1, 2) for part in self.c_attn(states).split(WIDTH, dim=2)
        )
        scores = (query @ key.transpose(-2, -1)) * (1.0 / math.sqrt(key.size(-1)))
        scores = scores.masked_fill(self.bias[:, :, :t, :t] == 0, float("-inf"))
        mixed = self.drop(F.softmax(scores, dim=-1)) @ value
        return self.c_proj(mixed.transpose(1, 2).contiguous().view(b, t, c))


@spelling("codebases", lambda: (normal(Q, B, WIDTH), normal(K, B, WIDTH), ~keep(B, K)))
class SequenceFirst(nn.Module):
    """(L,N,E) in and out, heads folded into the batch, padding hidden in a four-dimensional view (fairseq, BART)."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))

    def forward(self, states: Tensor, memory: Tensor, padding: Tensor) -> Tensor:
        length, batch = states.shape[:2]
        query = (self.q(states) * D**-0.5).contiguous().view(length, batch * H, D).transpose(0, 1)
        key, value = (layer(memory).contiguous().view(-1, batch * H, D).transpose(0, 1) for layer in (self.k, self.v))
        scores = torch.bmm(query, key.transpose(1, 2)).view(batch, H, length, -1)
        scores = scores.masked_fill(padding.unsqueeze(1).unsqueeze(2), float("-inf")).view(batch * H, length, -1)
        mixed = torch.bmm(F.softmax(scores, dim=-1, dtype=torch.float32).type_as(scores), value)
        return self.out(mixed.transpose(0, 1).contiguous().view(length, batch, WIDTH))


@spelling("codebases", lambda: (*tokens(), additive(B, 1, 1, Q)))
class BertOfOld(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.dropout = nn.Dropout(0.1)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        query, key, value = (
            layer(states).view(*states.shape[:-1], H, D).permute(0, 2, 1, 3)
            for layer in (self.query, self.key, self.value)
        )
        scores = torch.matmul(query, key.transpose(-1, -2)) / math.sqrt(D) + mask
        mixed = torch.matmul(self.dropout(nn.Softmax(dim=-1)(scores)), value).permute(0, 2, 1, 3).contiguous()
        return mixed.view(*mixed.shape[:-2], WIDTH)


@spelling("codebases", lambda: (*tokens(), normal(B, K, WIDTH)))
class TorchAttentionMapsDropped(nn.Module):
    """nn.MultiheadAttention that computes maps which nobody reads."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(WIDTH, H, batch_first=True)

    def forward(self, states: Tensor, context: Tensor) -> Tensor:
        mixed, _ = self.attention(states, context, context, need_weights=True)
        return mixed


@spelling("codebases", lambda: (*tokens(), normal(B, K, WIDTH), ~keep(B, K)))
class TorchAttentionPadded(TorchAttentionMapsDropped):
    def forward(self, states: Tensor, context: Tensor, padding: Tensor) -> Tensor:
        mixed, _ = self.attention(states, context, context, key_padding_mask=padding, need_weights=True)
        return mixed


@spelling("codebases", image)
class SelfAttentionGan(nn.Module):
    """SAGAN: keys and values pooled, narrow queries, probabilities transposed for the product, a learned gain."""

    def __init__(self) -> None:
        super().__init__()
        self.theta, self.phi = nn.Conv2d(12, 3, 1, bias=False), nn.Conv2d(12, 3, 1, bias=False)
        self.g, self.o, self.gamma = nn.Conv2d(12, 6, 1), nn.Conv2d(6, 12, 1), nn.Parameter(torch.tensor(0.0))

    def forward(self, states: Tensor) -> Tensor:
        query = self.theta(states).flatten(2)
        key = F.max_pool2d(self.phi(states), (1, 2)).flatten(2)
        value = F.max_pool2d(self.g(states), (1, 2)).flatten(2)
        weights = F.softmax(torch.bmm(query.transpose(1, 2), key), dim=-1)
        mixed = torch.bmm(value, weights.transpose(1, 2)).view(states.shape[0], 6, *states.shape[2:])
        return self.gamma * self.o(mixed) + states


@spelling("codebases", lambda: (normal(B, Q, WIDTH), normal(B, K, WIDTH)), attentions=2)
class DecoderLayer(nn.Module):
    """Causal self-attention, then cross-attention, in one layer."""

    def __init__(self) -> None:
        super().__init__()
        self.mine = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.theirs = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2))

    def attend(self, layers: nn.ModuleList, states: Tensor, memory: Tensor, mask: Tensor | None) -> Tensor:
        """(B,Q,C) of states (B,Q,C) and memory (B,K,C)."""
        parts = layers[0](states), layers[1](memory), layers[2](memory)
        query, key, value = (part.unflatten(-1, (H, D)).transpose(1, 2) for part in parts)
        scores = query @ key.mT / math.sqrt(D)
        scores = scores if mask is None else scores + mask
        return (scores.softmax(-1) @ value).transpose(1, 2).flatten(2)

    def forward(self, states: Tensor, memory: Tensor) -> Tensor:
        length = states.shape[1]
        causal = torch.full((length, length), float("-inf")).triu(1)
        hidden = self.norms[0](states)
        states = states + self.attend(self.mine, hidden, hidden, causal)
        return states + self.attend(self.theirs, self.norms[1](states), memory, None)
