"""Attention is found by what it does, in every spelling, and nothing that only looks alike is called one."""

from __future__ import annotations

import functools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from graphlab.facts import AttentionSite
from graphlab.program import Program
from graphlab.sources.bare import program_workload
from graphlab.sources.extract import extract
from graphlab.sources.module import capture
from graphlab.stage_analysis import Options, StageAnalysis, analyze_stage
from tests.passes.conftest import Attend, Projected, analysis_of, sites_of


def split(t: torch.Tensor, heads: int = 4) -> torch.Tensor:
    return t.unflatten(-1, (heads, t.shape[-1] // heads)).transpose(1, 2)


def join(t: torch.Tensor) -> torch.Tensor:
    return t.transpose(1, 2).flatten(2)


def fold(t: torch.Tensor, heads: int = 4) -> torch.Tensor:
    return split(t, heads).reshape(-1, t.shape[1], t.shape[-1] // heads)


def baddbmm(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    q, k, v = fold(q), fold(k), fold(v)
    empty = torch.empty(q.shape[0], q.shape[1], k.shape[1], dtype=q.dtype)
    scores = torch.baddbmm(empty, q, k.transpose(-1, -2), beta=0, alpha=0.5)
    return torch.bmm(scores.softmax(-1), v)


SPELLINGS: dict[str, tuple[int, Attend]] = {
    "sdpa": (4, lambda q, k, v: join(F.scaled_dot_product_attention(split(q), split(k), split(v)))),
    "sdpa without heads": (1, F.scaled_dot_product_attention),
    "matmul 4-d": (4, lambda q, k, v: join(torch.softmax(split(q) @ split(k).mT / 2, -1) @ split(v))),
    "matmul 3-d": (1, lambda q, k, v: torch.softmax(q @ k.transpose(1, 2) * 0.25, -1) @ v),
    "scale on query": (4, lambda q, k, v: join(torch.softmax((split(q) * 0.5) @ split(k).mT, -1) @ split(v))),
    "baddbmm": (4, baddbmm),
    "einsum 3-d": (
        1,
        lambda q, k, v: torch.einsum("bij,bjd->bid", torch.softmax(torch.einsum("bid,bjd->bij", q, k), -1), v),
    ),
    "einsum 4-d": (
        4,
        lambda q, k, v: join(
            torch.einsum(
                "bhij,bhjd->bhid", torch.softmax(torch.einsum("bhid,bhjd->bhij", split(q), split(k)), -1), split(v)
            )
        ),
    ),
    "channels first": (
        1,
        lambda q, k, v: torch.einsum("bts,bcs->bct", torch.softmax(torch.einsum("bct,bcs->bts", q.mT, k.mT), -1), v.mT),
    ),
    "float32 softmax": (
        4,
        lambda q, k, v: join(torch.softmax((split(q) @ split(k).mT).double(), -1).to(q.dtype) @ split(v)),
    ),
    "dropout in eval": (1, lambda q, k, v: F.dropout(torch.softmax(q @ k.mT, -1), 0.1, training=False) @ v),
}

NEAR_MISSES: dict[str, Attend] = {
    "linear attention": lambda q, k, v: torch.softmax(q, -1) @ (torch.softmax(k, 1).mT @ v),
    "softmax over queries": lambda q, k, v: torch.softmax(q @ k.mT, 1) @ v,
    "sigmoid": lambda q, k, v: torch.sigmoid(q @ k.mT) @ v,
    "no value product": lambda q, k, v: torch.softmax(q @ k.mT, -1),
    "softmax of one operand": lambda q, k, v: torch.softmax(q, -1) * v[:, :1],
}


@functools.cache
def across(name: str, dynamic: bool) -> StageAnalysis:
    """The analysis of a spelling over 5 queries and 7 keys."""
    return analysis_of(Projected(SPELLINGS[name][1]), torch.randn(2, 5, 16), torch.randn(2, 7, 16), dynamic=dynamic)


_STATIC = ("baddbmm", "einsum 4-d")


@pytest.mark.parametrize(
    ("name", "dynamic"),
    [
        *((name, True) for name in SPELLINGS),
        *(pytest.param(n, False, marks=() if n in _STATIC else pytest.mark.slow) for n in SPELLINGS),
    ],
)
def test_every_spelling_is_one_attention(name: str, dynamic: bool) -> None:
    heads, attend = SPELLINGS[name]
    (own,) = sites_of(attend, dynamic=dynamic)
    assert (own.kind, own.causal, own.heads, own.axis) == ("self", False, heads, "sequence")
    (cross,) = across(name, dynamic).sites
    assert (cross.kind, cross.heads, cross.axis) == ("cross", heads, "sequence")


@pytest.mark.parametrize("name", SPELLINGS)
def test_fused_and_spelled_out_count_the_same(name: str) -> None:
    analysis = across(name, True)
    (site,) = analysis.sites
    assert sum(analysis.costs[n].flops for n in site.contractions) == 2 * 2 * 2 * 5 * 7 * 16


@pytest.mark.parametrize("name", NEAR_MISSES)
def test_what_only_looks_alike_is_not_attention(name: str) -> None:
    assert sites_of(NEAR_MISSES[name]) == ()


def lower(q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    return torch.ones(q.shape[1], k.shape[1], dtype=torch.bool).tril()


CAUSAL: dict[str, tuple[bool | None, Attend]] = {
    "flag": (True, lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True)),
    "tril mask": (True, lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=lower(q, k))),
    "masked_fill triu": (
        True,
        lambda q, k, v: torch.softmax((q @ k.mT).masked_fill(~lower(q, k), -1e4), -1) @ v,
    ),
    "arange comparison": (
        True,
        lambda q, k, v: F.scaled_dot_product_attention(
            q, k, v, attn_mask=torch.arange(k.shape[1])[None, :] <= torch.arange(q.shape[1])[:, None]
        ),
    ),
    "minus infinity added": (
        True,
        lambda q, k, v: torch.softmax(q @ k.mT + torch.full((q.shape[1], k.shape[1]), -math.inf).triu(1), -1) @ v,
    ),
    "only the later ones": (
        False,
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=~lower(q, k) | lower(q, k).triu()),
    ),
    "a band": (
        None,
        lambda q, k, v: F.scaled_dot_product_attention(
            q, k, v, attn_mask=torch.ones(q.shape[1], k.shape[1], dtype=torch.bool).triu(-1).tril(1)
        ),
    ),
    "a causal window": (
        True,
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=lower(q, k).triu(-1)),
    ),
    "no mask": (False, F.scaled_dot_product_attention),
    "uniform mask": (
        False,
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=torch.zeros(q.shape[1], k.shape[1])),
    ),
}


@functools.cache
def causal(name: str) -> Program:
    return capture(Projected(CAUSAL[name][1]).eval(), (torch.randn(2, 5, 16),))


def site_of(program: Program) -> AttentionSite:
    workload = program_workload(program, "test")
    (site,) = analyze_stage(workload, workload.stages[0], Options()).sites
    return site


@pytest.mark.parametrize("name", CAUSAL)
def test_causality_is_read_off_the_flag_or_the_mask(name: str) -> None:
    assert site_of(causal(name)).causal is CAUSAL[name][0]


_DECOMPOSED = ("flag", "tril mask", "masked_fill triu", "a band")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in _DECOMPOSED else pytest.mark.slow) for name in CAUSAL]
)
def test_causality_survives_decomposition(name: str) -> None:
    exported = causal(name).exported
    assert exported is not None
    site = site_of(Program("decomposed", extract(exported.run_decompositions())))
    assert (site.causal, site.kind) == (CAUSAL[name][0], "self")


def test_heads_straight_from_an_input_are_not_called_batch() -> None:
    class Straight(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            q = x.unflatten(-1, (4, 4))
            p = torch.softmax(torch.einsum("bthd,bshd->bhts", q, q), -1)
            return torch.einsum("bhts,bshd->bthd", p, q)

    (site,) = analysis_of(Straight(), torch.randn(2, 5, 16)).sites
    assert site.heads is None


def test_a_mask_from_outside_leaves_causality_unknown() -> None:
    class Masked(nn.Module):
        def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            return F.scaled_dot_product_attention(x, x, x, attn_mask=mask)

    (site,) = analysis_of(Masked(), torch.randn(2, 5, 16), torch.randn(5, 5)).sites
    assert site.causal is None
    assert site.mask == "mask"


class Video(nn.Module):
    """A convolution over pictures, then attention over positions, then over frames: (batch frames) c h w."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 16, 3, padding=1)
        self.spatial, self.temporal = Heads(), Heads()

    def forward(self, sample: torch.Tensor) -> torch.Tensor:
        b, _, f, h, w = sample.shape
        x = self.conv(sample.permute(0, 2, 1, 3, 4).reshape(b * f, 4, h, w))
        x = self.spatial(x.flatten(2).transpose(1, 2))
        x = x.reshape(b, f, h * w, 16).permute(0, 2, 1, 3).reshape(b * h * w, f, 16)
        x = self.temporal(x)
        return x.reshape(b, h * w, f, 16).permute(0, 3, 2, 1).reshape(b, 16, f, h, w)


class Heads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(16, 48)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (split(t) for t in self.qkv(x).chunk(3, -1))
        return join(F.scaled_dot_product_attention(q, k, v))


@pytest.mark.parametrize(
    ("batch", "dynamic"),
    [(2, True), (1, False), *(pytest.param(*case, marks=pytest.mark.slow) for case in [(1, True), (2, False)])],
)
def test_spatial_and_temporal_are_told_apart_where_lengths_coincide(dynamic: bool, batch: int) -> None:
    """4 x 4 positions and 16 frames: only where the tokens come from can tell."""
    spatial, temporal = analysis_of(Video(), torch.randn(batch, 4, 16, 4, 4), dynamic=dynamic).sites
    assert (spatial.axis, temporal.axis) == ("spatial", "temporal")
    assert (spatial.kind, temporal.kind) == ("self", "self")
    assert (spatial.heads, temporal.heads) == (4, 4)


class Joint(nn.Module):
    """Text and picture tokens in one sequence."""

    def __init__(self, *, keys_only: bool) -> None:
        super().__init__()
        self.keys_only = keys_only
        self.conv = nn.Conv2d(4, 16, 2, stride=2)
        self.q, self.k, self.v = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 16)

    def forward(self, sample: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        x = self.conv(sample).flatten(2).transpose(1, 2)
        both = torch.cat([text, x], 1)
        q = self.q(x if self.keys_only else both)
        return F.scaled_dot_product_attention(q, self.k(both), self.v(both))


@pytest.mark.parametrize("keys_only", [False, True])
def test_concatenated_keys_are_joint(keys_only: bool) -> None:
    (site,) = analysis_of(Joint(keys_only=keys_only), torch.randn(2, 4, 8, 6), torch.randn(2, 7, 16)).sites
    assert (site.kind, site.axis) == ("joint", "spatial")


def test_concatenated_contexts_without_the_queries_are_cross() -> None:
    class Contexts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.q, self.k = nn.Linear(16, 16), nn.Linear(16, 16)

        def forward(self, x: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            k = self.k(torch.cat([a, b], 1))
            return F.scaled_dot_product_attention(self.q(x), k, k)

    (site,) = analysis_of(Contexts(), torch.randn(2, 9, 16), torch.randn(2, 5, 16), torch.randn(2, 4, 16)).sites
    assert site.kind == "cross"


def test_tokens_made_of_a_vector_are_another_source() -> None:
    class Embedded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens, self.q, self.k = nn.Linear(8, 64), nn.Linear(16, 16), nn.Linear(16, 16)

        def forward(self, x: torch.Tensor, embedding: torch.Tensor) -> torch.Tensor:
            extra = self.tokens(embedding).unflatten(-1, (4, 16))
            k = torch.cat([self.k(extra), self.k(x)], 1)
            return F.scaled_dot_product_attention(self.q(x), k, k)

    (site,) = analysis_of(Embedded(), torch.randn(2, 9, 16), torch.randn(2, 8)).sites
    assert site.kind == "joint"


class Cached(nn.Module):
    """One new token against a growing cache: the cache is no second source."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 16)
        self.q, self.k, self.v = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 16)

    def forward(self, ids: torch.Tensor, past_k: torch.Tensor, past_v: torch.Tensor) -> torch.Tensor:
        x = self.embed(ids)
        k = torch.cat([past_k, split(self.k(x))], 2)
        v = torch.cat([past_v, split(self.v(x))], 2)
        return join(F.scaled_dot_product_attention(split(self.q(x)), k, v))


@pytest.mark.parametrize("new", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_a_key_value_cache_is_self_attention(new: int) -> None:
    ids = torch.zeros(2, new, dtype=torch.int64)
    (site,) = analysis_of(Cached(), ids, torch.randn(2, 4, 6, 4), torch.randn(2, 4, 6, 4)).sites
    assert (site.kind, site.axis, site.heads) == ("self", "sequence", 4)


class CachedText(Cached):
    """One new token against keys and values of a text that were made once: nothing is added to them."""

    def forward(self, ids: torch.Tensor, text_k: torch.Tensor, text_v: torch.Tensor) -> torch.Tensor:
        return join(F.scaled_dot_product_attention(split(self.q(self.embed(ids))), text_k, text_v))


@pytest.mark.parametrize("new", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_cached_keys_of_another_source_are_cross_attention(new: int) -> None:
    ids = torch.zeros(2, new, dtype=torch.int64)
    (site,) = analysis_of(CachedText(), ids, torch.randn(2, 4, 6, 4), torch.randn(2, 4, 6, 4)).sites
    assert (site.kind, site.axis, site.heads) == ("cross", "sequence", 4)


class Pool(nn.Module):
    """Learned queries over the input's tokens."""

    def __init__(self, *, fused: bool) -> None:
        super().__init__()
        self.fused = fused
        self.query = nn.Parameter(torch.randn(1, 3, 16))
        self.k = nn.Linear(16, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        k = self.k(x)
        if self.fused:
            return F.scaled_dot_product_attention(self.query.expand(x.shape[0], -1, -1), k, k)
        return torch.softmax(self.query @ k.mT / math.sqrt(16), -1) @ k


def test_learned_queries_attend_across() -> None:
    (site,) = analysis_of(Pool(fused=True), torch.randn(2, 5, 16)).sites
    assert site.kind == "cross"


def test_learned_queries_spelled_out_are_a_product_with_a_weight() -> None:
    """A known limit: nothing but its use tells such a product from a linear layer."""
    assert analysis_of(Pool(fused=False), torch.randn(2, 5, 16)).sites == ()
