"""fuse-skip-rms-norm: what fires in which spelling, what does not and why, same numbers, second run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from graphlab.passes.rewrite.fuse_rms_norm import FuseRmsNorm
from graphlab.passes.rewrite.fuse_skip_rms_norm import FuseSkipRmsNorm
from graphlab.plugins import find_pass
from tests.fused.cases import DTYPES, Function, captured, check, ops, stays

Block = Callable[[Any, torch.Tensor, torch.Tensor], Any]
FUSED = "graphlab.skip_rms_norm.default"


def built(call: Block) -> Function:
    return Function(call, norm=nn.RMSNorm(8, eps=1e-3), again=nn.RMSNorm(8), proj=nn.Linear(8, 8))


def pair(dtype: torch.dtype = torch.float32, rows: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(2, rows, 8, dtype=dtype), torch.randn(2, rows, 8, dtype=dtype)


def pre_norm(m: Any, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The sum is read before the norm, by the norm, and after it."""
    total = x + y
    early = total * 2
    return m.proj(m.norm(total)) + total + early


FIRES: dict[str, Block] = {
    "sum_read_again": pre_norm,
    "sum_read_once": lambda m, x, y: m.norm(x + y),
    "in_place": lambda m, x, y: m.norm(m.proj(x).add_(y)),
    "no_weight": lambda m, x, y: F.rms_norm(x + y, [8], eps=1e-6),
    "no_eps": lambda m, x, y: m.again(x + y),
    "sum_is_a_result": lambda m, x, y: (lambda t: (m.norm(t), t))(x + y),
    "twice_itself": lambda m, x, y: m.norm(x + x) + y,
}


@pytest.mark.parametrize("name", sorted(FIRES))
def test_fires(name: str) -> None:
    program = check(FuseSkipRmsNorm(), built(FIRES[name]), *pair(), others=pair(rows=7))
    assert ops(program).count(FUSED) == 1
    assert "aten.rms_norm.default" not in ops(program)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_numbers_in_every_dtype(dtype: torch.dtype) -> None:
    check(FuseSkipRmsNorm(), built(pre_norm).to(dtype), *pair(dtype))


def test_before_and_after() -> None:
    before = captured(built(pre_norm), *pair())
    result = FuseSkipRmsNorm().run(before)
    assert ops(before)[:3] == ["aten.add.Tensor", "aten.mul.Tensor", "aten.rms_norm.default"]
    assert ops(result.program)[:2] == [FUSED, "aten.mul.Tensor"]
    (change,) = result.changes
    assert [old for old, _ in change.values] == ["rms_norm", "add"]
    assert (change.pass_name, change.why) == ("fuse-skip-rms-norm", "RMS norm of a sum")
    assert find_pass("fuse-skip-rms-norm") is FuseSkipRmsNorm


def test_follows_the_norm_written_out() -> None:
    def call(m: Any, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        total = x + y
        return m.norm.weight * (total * torch.rsqrt(total.pow(2).mean(-1, keepdim=True) + 1e-6)) + total

    program = FuseSkipRmsNorm().run(FuseRmsNorm().run(captured(built(call), *pair())).program).program
    assert ops(program) == [FUSED, "aten.add.Tensor"]


def test_one_norm_a_sum() -> None:
    def call(m: Any, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        total = x + y
        return m.norm(total) + m.again(total)

    result = FuseSkipRmsNorm().run(captured(built(call), *pair()))
    assert ops(result.program)[:2] == [FUSED, "aten.rms_norm.default"]
    assert [skip.why for skip in FuseSkipRmsNorm().run(result.program).skips] == [
        "the sum getitem_1 is normed by skip_rms_norm_default already"
    ]


STAYS: dict[str, tuple[Block, str]] = {
    "bias": (lambda m, x, y: m.norm(x + m.proj.bias) + y, "args_0 and p_proj_bias differ in shape: "),
    "dtype": (
        lambda m, x, y: F.rms_norm(x.double() + y, [8], eps=1e-6),
        "differ in dtype: torch.float64 and torch.float32",
    ),
    "scaled": (lambda m, x, y: m.norm(torch.add(x, y, alpha=2)), "add scales the residual by 2"),
    "number": (lambda m, x, y: m.norm(x + 1) + y, "add adds a number, not a residual"),
    "two_axes": (
        lambda m, x, y: F.rms_norm(x + y, [5, 8], eps=1e-6),
        "it normalises the last 2 axes, not the last alone",
    ),
    "late_weight": (
        lambda m, x, y: (lambda t: F.rms_norm(t, [8], t.mean((0, 1)), 1e-6))(x + y),
        "mean is computed after the sum",
    ),
}


@pytest.mark.parametrize("name", sorted(STAYS))
def test_stays(name: str) -> None:
    call, reason = STAYS[name]
    (found,) = stays(FuseSkipRmsNorm(), built(call), *pair())
    assert reason in found


def test_others_are_no_candidates() -> None:
    for call in (
        lambda m, x, y: m.norm(x) + y,
        lambda m, x, y: m.norm(x - y),
        lambda m, x, y: F.layer_norm(x + y, [8]),
    ):
        assert stays(FuseSkipRmsNorm(), built(call), *pair()) == []
