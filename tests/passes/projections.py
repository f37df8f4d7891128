"""Attentions between linear layers, in the spellings that matter to fusing the layers."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from tests.passes.rewrites import Call

Attend = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
WIDTH = 8


def heads(x: torch.Tensor, count: int = 2) -> torch.Tensor:
    """(batch, tokens, width) to (batch, heads, tokens, width / heads)."""
    return x.view(x.shape[0], x.shape[1], count, -1).transpose(1, 2)


def merged(x: torch.Tensor) -> torch.Tensor:
    """The inverse of `heads`."""
    return x.transpose(1, 2).flatten(2)


def fused(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """torch's own operator."""
    return merged(F.scaled_dot_product_attention(heads(q), heads(k), heads(v)))


def spelled(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Two products around a softmax, heads folded into the batch."""
    batch = q.shape[0]
    q, k, v = (heads(x).reshape(batch * 2, -1, WIDTH // 2) for x in (q, k, v))
    scores = torch.bmm(q, k.transpose(1, 2)) / math.sqrt(WIDTH // 2)
    return merged(torch.bmm(scores.softmax(-1), v).view(batch, 2, -1, WIDTH // 2))


def einsum(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """One head, by einsum, queries scaled."""
    scores = torch.einsum("bid,bjd->bij", q * 0.3, k)
    return torch.einsum("bij,bjd->bid", F.dropout(scores.softmax(-1), 0.1, False), v)


def rotated(x: torch.Tensor) -> torch.Tensor:
    """Rotary embedding of heads."""
    half = x.shape[-1] // 2
    angles = torch.arange(half, dtype=x.dtype).exp()
    cos, sin = torch.cat([angles.cos(), angles.cos()]), torch.cat([angles.sin(), angles.sin()])
    turned = torch.cat([-x[..., half:], x[..., :half]], -1)
    return x * cos + turned * sin


def normed_and_rotated(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Norms and rotary embedding between projection and attention."""
    q, k = (rotated(F.rms_norm(heads(x), (WIDTH // 2,))) for x in (q, k))
    return merged(F.scaled_dot_product_attention(q, k, heads(v)))


def layers(**bias: bool) -> dict[str, nn.Module]:
    """Layers q, k, v and o; without a bias where it is said to be False."""
    return {name: nn.Linear(WIDTH, WIDTH, bias=bias.get(name, True)) for name in "qkvo"}


def itself(attend: Attend) -> Callable[[nn.Module, torch.Tensor], torch.Tensor]:
    """Self-attention."""
    return lambda m, x: m.o(attend(m.q(x), m.k(x), m.v(x)))


def across(attend: Attend) -> Callable[[nn.Module, torch.Tensor, torch.Tensor], torch.Tensor]:
    """Cross-attention."""
    return lambda m, x, y: m.o(attend(m.q(x), m.k(y), m.v(y)))


def double(call: Callable[..., object], made: dict[str, nn.Module] | None = None) -> nn.Module:
    """A float64 module of `call` over `layers()`."""
    return Call(call, **(layers() if made is None else made)).double()


def tokens(batch: int, count: int) -> torch.Tensor:
    """(batch, count, WIDTH)."""
    return torch.randn(batch, count, WIDTH, dtype=torch.float64)
