"""pack-heads: what packs in which spelling, what stays and why, same numbers, and the kernel it is for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from graphlab.passes.rewrite.pack_heads import PackHeads
from graphlab.verification.verify import verify
from tests.exporting.runs import Call, agree, captured, lowered

X = torch.linspace(-2, 2, 2 * 6 * 16).reshape(2, 6, 16).sin()
Y = torch.linspace(-1, 3, 2 * 4 * 16).reshape(2, 4, 16).cos()
LAYERS = {name: nn.Linear(16, 16) for name in "qkvo"}
SDPA = F.scaled_dot_product_attention


def split(x: torch.Tensor, heads: int = 4) -> torch.Tensor:
    return x.view(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)


def joined(x: torch.Tensor) -> torch.Tensor:
    return x.transpose(1, 2).reshape(x.shape[0], x.shape[2], -1)


def self_attention(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return m.o(joined(SDPA(split(m.q(x)), split(m.k(x)), split(m.v(x)))))


def cross(m: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return m.o(joined(SDPA(split(m.q(x)), split(m.k(y)), split(m.v(y)), scale=0.3)))


def causal(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return joined(SDPA(split(m.q(x)), split(m.k(x)), split(m.v(x)), is_causal=True))


def permuted(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    q, k, v = (f(x).unflatten(-1, (4, 4)).permute(0, 2, 1, 3) for f in (m.q, m.k, m.v))
    return m.o(SDPA(q, k, v).permute(0, 2, 1, 3).flatten(2))


def read_twice(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    out = SDPA(split(m.q(x)), split(m.k(x)), split(m.v(x)))
    return joined(out) * out.mean((1, 3))[..., None]


def rotated(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    q, k = (split(f(x)) * 1.5 + 0.1 for f in (m.q, m.k))
    return joined(SDPA(q, k, split(m.v(x))))


def one_head(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return m.o(SDPA(m.q(x), m.k(x), m.v(x)))


def padded(m: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    mask = (y[:, :, 0] > -0.9)[:, None, None, :]
    return joined(SDPA(split(m.q(x)), split(m.k(y)), split(m.v(y)), attn_mask=mask))


def biased(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    bias = x[:, :, 0][:, None, :, None] - x[:, :, 1][:, None, None, :]
    return joined(SDPA(split(m.q(x)), split(m.k(x)), split(m.v(x)), attn_mask=bias))


def two_axes(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    mask = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).tril()
    return joined(SDPA(split(m.q(x)), split(m.k(x)), split(m.v(x)), attn_mask=mask))


PACKED: dict[str, tuple[Callable[..., Any], tuple[torch.Tensor, ...]]] = {
    function.__name__: (function, args)
    for function, args in (
        (self_attention, (X,)), (cross, (X, Y)), (causal, (X,)), (permuted, (X,)), (read_twice, (X,)), (rotated, (X,)),
        (one_head, (X,)), (padded, (X, Y)), (biased, (X,)), (two_axes, (X,)),
    )
}  # fmt: skip


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "symbolic"])
def test_attention_is_packed_and_stays_the_same(name: str, dynamic: bool, tmp_path: Path) -> None:
    function, args = PACKED[name]
    module = Call(function, **LAYERS)
    program = captured(module, *args, dynamic=dynamic)
    result = PackHeads().run(program)
    targets = [node.target for node in result.program.graph.calls]
    assert targets.count("graphlab.multi_head_attention.default") == 1
    assert "aten.scaled_dot_product_attention.default" not in targets
    assert verify(program, result.program, result.changes).ok
    assert not PackHeads().run(result.program).changes
    found = lowered(program, "ort-cpu")
    assert sum(found.operators.get(name, 0) for name in ("com.microsoft::MultiHeadAttention", "Attention")) == 1
    agree(module, found, tmp_path, *args)


def test_views_that_split_and_join_heads_are_gone() -> None:
    result = PackHeads().run(captured(Call(self_attention, **LAYERS), X))
    assert [node.target for node in result.program.graph.calls] == [
        *["aten.linear.default"] * 3, "graphlab.multi_head_attention.default", "aten.linear.default"
    ]  # fmt: skip


def grouped(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    k, v = (split(f(x), 4)[:, :2] for f in (m.k, m.v))
    return joined(SDPA(split(m.q(x)), k, v, enable_gqa=True))


def broadcast(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return joined(SDPA(split(m.q(x)), split(m.k(x[:1])), split(m.v(x[:1]))))


def causal_of_two_lengths(m: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return joined(SDPA(split(m.q(x)), split(m.k(y)), split(m.v(y)), is_causal=True))


def five_axes(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    q, k, v = (split(f(x))[None] for f in (m.q, m.k, m.v))
    return joined(SDPA(q, k, v)[0])


STAYS: dict[str, tuple[Callable[..., Any], tuple[torch.Tensor, ...], str]] = {
    "grouped": (grouped, (X,), "grouped or broadcast"),
    "broadcast": (broadcast, (X,), "grouped or broadcast"),
    "causal-of-two-lengths": (causal_of_two_lengths, (X, Y), "different lengths"),
    "five-axes": (five_axes, (X,), "not three or four"),
}


@pytest.mark.parametrize("name", STAYS)
def test_what_stays_says_why_and_is_written_as_the_standards_attention(name: str, tmp_path: Path) -> None:
    function, args, why = STAYS[name]
    module = Call(function, **LAYERS)
    program = captured(module, *args)
    result = PackHeads().run(program)
    assert not result.changes
    assert [why in skip.why for skip in result.skips] == [True]
    found = lowered(program, "ort-cpu")
    assert "com.microsoft::MultiHeadAttention" not in found.operators
    agree(module, found, tmp_path, *args)
