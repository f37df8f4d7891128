"""fuse-skip-layernorm: what fires in which spelling, what does not and why, same numbers, second run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from graphlab.passes.rewrite.fuse_skip_layernorm import FuseSkipLayernorm
from graphlab.plugins import find_pass
from graphlab.program import Program
from graphlab.sources.extract import extract
from tests.fused.cases import DTYPES, Function, captured, check, ops, reasons, run, stays

Block = Callable[[nn.Module, torch.Tensor, torch.Tensor], Any]
FUSED = "graphlab.skip_layer_norm.default"


def built(call: Block) -> Function:
    layers = {"norm": nn.LayerNorm(8, eps=1e-3), "again": nn.LayerNorm(8), "proj": nn.Linear(8, 8)}
    return Function(call, **layers)


def pair(dtype: torch.dtype = torch.float32, rows: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(2, rows, 8, dtype=dtype), torch.randn(2, rows, 8, dtype=dtype)


def pre_norm(m: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The sum is read before the norm, by the norm, and after it."""
    total = x + y
    early = total * 2
    return m.proj(m.norm(total)) + total + early


FIRES: dict[str, Block] = {
    "sum_read_again": pre_norm,
    "sum_read_once": lambda m, x, y: m.norm(x + y),
    "post_norm": lambda m, x, y: m.norm(m.proj(x) + x) + y,
    "in_place": lambda m, x, y: m.norm(m.proj(x).add_(y)),
    "no_weights": lambda m, x, y: F.layer_norm(x + y, [8]),
    "sum_is_a_result": lambda m, x, y: (lambda t: (m.norm(t), t))(x + y),
    "twice_itself": lambda m, x, y: m.norm(x + x) + y,
}


@pytest.mark.parametrize("name", sorted(FIRES))
def test_fires(name: str) -> None:
    program = check(FuseSkipLayernorm(), built(FIRES[name]), *pair(), others=pair(rows=7))
    assert ops(program).count(FUSED) == 1
    assert "aten.layer_norm.default" not in ops(program)


def test_before_and_after() -> None:
    before = captured(built(pre_norm), *pair())
    result = FuseSkipLayernorm().run(before)
    assert ops(before)[:3] == ["aten.add.Tensor", "aten.mul.Tensor", "aten.layer_norm.default"]
    assert ops(result.program)[:3] == [FUSED, "aten.mul.Tensor", "aten.linear.default"]
    (change,) = result.changes
    assert change.values == (("layer_norm", "getitem"), ("add", "getitem_1"))
    assert change.why == "layer norm of a sum"
    assert change.module == "norm"
    assert result.skips == ()
    assert find_pass("fuse-skip-layernorm") is FuseSkipLayernorm


def test_sum_that_only_the_norm_reads_is_not_taken_out() -> None:
    result = FuseSkipLayernorm().run(captured(built(FIRES["sum_read_once"]), *pair()))
    assert result.changes[0].values == (("layer_norm", "getitem"),)
    assert [node.target for node in result.program.graph.calls] == [FUSED, "getitem"]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_numbers_in_every_dtype(dtype: torch.dtype) -> None:
    check(FuseSkipLayernorm(), built(pre_norm).to(dtype), *pair(dtype))


def test_second_norm_of_one_sum_stays() -> None:
    module = built(lambda m, x, y: (lambda t: m.norm(t) - m.again(t))(x + y))
    program = check(FuseSkipLayernorm(), module, *pair())
    assert sorted(ops(program)) == ["aten.layer_norm.default", "aten.sub.Tensor", FUSED]
    (reason,) = reasons(FuseSkipLayernorm().run(program))
    assert reason == "the sum getitem_1 is normed by skip_layer_norm_default already"


def test_diffusers_block() -> None:
    from diffusers.models.attention import BasicTransformerBlock

    block = BasicTransformerBlock(8, 2, 4, cross_attention_dim=6)
    module = Function(lambda m, x, y: m.block(x, encoder_hidden_states=y), block=block)
    program = check(FuseSkipLayernorm(), module, torch.randn(2, 5, 8), torch.randn(2, 3, 6))
    assert ops(program).count(FUSED) == 2  # before cross-attention and before the feed-forward; norm1 has no sum


def test_decomposed_programs() -> None:
    module, (x, y) = built(pre_norm).eval(), pair()
    exported = torch.export.export(module, (x, y)).run_decompositions()
    result = FuseSkipLayernorm().run(Program("core", extract(exported), exported))
    assert "aten.native_layer_norm.default" in ops(Program("core", extract(exported), exported))
    assert ops(result.program)[:2] == [FUSED, "aten.mul.Tensor"]
    assert [node.target for node in result.program.graph.calls].count("getitem") == 2
    torch.testing.assert_close(run(result.program, x, y), module(x, y))
    assert not FuseSkipLayernorm().run(result.program).modified


def test_native_norm_whose_mean_is_read_stays() -> None:
    def call(m: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        normed, mean, _ = torch.native_layer_norm(x + y, [8], m.norm.weight, m.norm.bias, 1e-5)
        return normed + mean

    assert stays(FuseSkipLayernorm(), built(call), *pair()) == ["its mean or deviation is read"]


STAYS: dict[str, tuple[Block, str]] = {
    "bias": (lambda m, x, y: m.norm(x + m.norm.bias) + y, "args_0 and p_norm_bias differ in shape: "),
    "broadcast": (lambda m, x, y: m.norm(x + y[:, :1]), "differ in shape: "),
    "dtype": (
        lambda m, x, y: m.norm((x.double() + y).float()) + F.layer_norm(x.double() + y, [8]),
        "differ in dtype: torch.float64 and torch.float32",
    ),
    "scaled": (lambda m, x, y: m.norm(torch.add(x, y, alpha=2)), "add scales the residual by 2"),
    "number": (lambda m, x, y: m.norm(x + 1) + y, "add adds a number, not a residual"),
    "two_axes": (
        lambda m, x, y: F.layer_norm(x + y, [5, 8]),
        "it normalises the last 2 axes, not the last alone",
    ),
    "late_weight": (
        lambda m, x, y: (lambda t: F.layer_norm(t, [8], t.mean((0, 1))))(x + y),
        "mean is computed after the sum",
    ),
}


@pytest.mark.parametrize("name", sorted(STAYS))
def test_stays(name: str) -> None:
    call, reason = STAYS[name]
    (found,) = stays(FuseSkipLayernorm(), built(call), *pair())
    assert reason in found


def test_others_are_no_candidates() -> None:
    for call in (
        lambda m, x, y: m.norm(x) + y,
        lambda m, x, y: m.norm(x - y),
        lambda m, x, y: m.norm((x + y).transpose(0, 1)),
        lambda m, x, y: F.rms_norm(x + y, [8]),
    ):
        assert stays(FuseSkipLayernorm(), built(call), *pair()) == []
