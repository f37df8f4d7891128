"""Every translation of graphlab's own: which operators it writes for which target, and that they compute the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from graphlab.exporting.targets import TARGETS, target_named
from tests.exporting.runs import Call, agree, captured, lowered

X = torch.randn(2, 6, 16, generator=torch.Generator().manual_seed(0))
IMAGE = torch.linspace(-3, 3, 2 * 8 * 5 * 7).cos().reshape(2, 8, 5, 7)
CPU, STANDARD = "ort-cpu", "standard"


def geglu(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    hidden, gate = m.proj(x).chunk(2, dim=-1)
    return m.out(hidden * F.gelu(gate))


def geglu_tanh_gate_first(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    gate, hidden = m.proj(x).chunk(2, dim=-1)
    return m.out(hidden * F.gelu(gate, approximate="tanh"))


def bare_geglu(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    hidden, gate = x.sin().chunk(2, dim=-1)
    return hidden * F.gelu(gate)


def skip_norm(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    total = x + x.cos()
    return m.norm(total) + total


def skip_norm_plain(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    total = x + x.cos()
    return F.layer_norm(total, (16,)) * total


def group_norm_silu(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return F.silu(m.norm(x))


def ffn(kind: str) -> Callable[..., Any]:
    return lambda m, x: F.gelu(x, approximate=kind)


PROJ = {"proj": nn.Linear(16, 24), "out": nn.Linear(12, 16)}
CASES: dict[str, tuple[Callable[..., Any], dict[str, nn.Module], torch.Tensor, dict[str, dict[str, int]]]] = {
    "geglu": (geglu, PROJ, X, {
        CPU: {"com.microsoft::Gelu": 1, "Split": 0, "MatMul": 3}, STANDARD: {"Gelu": 1, "Split": 1, "MatMul": 2}}),
    "geglu-tanh-gate-first": (geglu_tanh_gate_first, PROJ, X, {
        CPU: {"com.microsoft::FastGelu": 1}, STANDARD: {"Gelu": 1}}),
    "geglu-of-no-linear": (bare_geglu, {}, X, {CPU: {"com.microsoft::Gelu": 1, "Split": 1}, STANDARD: {"Gelu": 1}}),
    "skip-layer-norm": (skip_norm, {"norm": nn.LayerNorm(16)}, X, {
        CPU: {"com.microsoft::SkipLayerNormalization": 1}, STANDARD: {"LayerNormalization": 1}}),
    "skip-layer-norm-without-weight": (skip_norm_plain, {}, X, {
        CPU: {"LayerNormalization": 1}, STANDARD: {"LayerNormalization": 1}}),
    "group-norm-silu": (group_norm_silu, {"norm": nn.GroupNorm(4, 8)}, IMAGE, {
        CPU: {"com.microsoft::QuickGelu": 1}, STANDARD: {"Sigmoid": 1}}),
    "group-norm": (lambda m, x: m.norm(x), {"norm": nn.GroupNorm(2, 8)}, IMAGE, {CPU: {}, STANDARD: {}}),
    "gelu": (ffn("none"), {}, X, {CPU: {"com.microsoft::Gelu": 1}, STANDARD: {"Gelu": 1}}),
    "gelu-tanh": (ffn("tanh"), {}, X, {CPU: {"com.microsoft::FastGelu": 1}, STANDARD: {"Gelu": 1}}),
    "silu": (lambda m, x: F.silu(x), {}, X, {CPU: {"com.microsoft::QuickGelu": 1}, STANDARD: {"Sigmoid": 1}}),
    "linear-2d": (lambda m, x: m.proj(x[0]), {"proj": nn.Linear(16, 3)}, X, {CPU: {"Gemm": 1}, STANDARD: {"Gemm": 1}}),
    "linear-without-bias": (lambda m, x: m.proj(x), {"proj": nn.Linear(16, 3, bias=False)}, X, {
        CPU: {"MatMul": 1, "Transpose": 0}, STANDARD: {"MatMul": 1, "Transpose": 0}}),
    "where-of-booleans": (
        lambda m, x: torch.where(x > 0, x > 0.5, x < -0.5), {}, X, {CPU: {"Where": 0}, STANDARD: {"Where": 0}}),
    "where-of-numbers": (lambda m, x: torch.where(x > 0, 0, float("-inf")), {}, X, {CPU: {"Where": 1}, STANDARD: {}}),
    "masked-fill-of-booleans": (
        lambda m, x: (x > 0).masked_fill(x > 1, False), {}, X, {CPU: {"Where": 0}, STANDARD: {}}),
    "masked-fill": (lambda m, x: x.masked_fill(x > 0.5, float("-inf")), {}, X, {CPU: {"Where": 1}, STANDARD: {}}),
    "split-unequal": (lambda m, x: x.split([3, 13], dim=-1)[1] + x[..., :1], {}, X, {
        CPU: {"SplitToSequence": 0}, STANDARD: {"SplitToSequence": 0}}),
    "mixed-dtypes": (lambda m, x: x * torch.arange(16) + (x > 0), {}, X, {CPU: {}, STANDARD: {}}),
    "decomposed": (lambda m, x: torch.outer(x[0, 0], x[0, 1]).movedim(0, 1), {}, X, {CPU: {}, STANDARD: {}}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("target", [CPU, STANDARD])
@pytest.mark.parametrize("dynamic", [False, True], ids=["static", "symbolic"])
def test_the_operators_are_written_and_compute_the_same(name: str, target: str, dynamic: bool, tmp_path: Path) -> None:
    function, layers, x, expected = CASES[name]
    module = Call(function, **layers)
    found = lowered(captured(module, x, dynamic=dynamic), target)
    for operator, count in expected[target].items():
        assert found.operators.get(operator, 0) == count, (operator, found.operators)
    agree(module, found, tmp_path, x)
    if dynamic:
        agree(module, found, tmp_path, torch.cat([x, -x[:1]]).contiguous())


@pytest.mark.parametrize("name", CASES)
def test_only_the_targets_own_operators_are_written(name: str) -> None:
    function, layers, x, _ = CASES[name]
    program = captured(Call(function, **layers), x)
    for target in TARGETS.values():
        domains = {operator.partition("::")[0] for operator in lowered(program, target).operators if "::" in operator}
        assert domains <= ({"com.microsoft"} if target.kernels else set())


def test_results_may_be_inputs_weights_and_each_other(tmp_path: Path) -> None:
    module = Call(lambda m, x: (x, x.sin(), x.sin(), m.proj.bias, m.proj(x), x), proj=nn.Linear(16, 3))
    found = lowered(captured(module, X))
    assert len({value.name for value in found.model.graph.outputs}) == 6
    agree(module, found, tmp_path, X)


def test_nodes_have_no_results_that_nobody_reads() -> None:
    # ONNX Runtime's Attention computes, and keeps, each optional result that has a name.
    module = Call(lambda m, x: F.scaled_dot_product_attention(*(x[:, None],) * 3)[:, 0])
    model = lowered(captured(module, X), "standard").model
    read = {id(value) for node in model.graph for value in node.inputs} | {id(value) for value in model.graph.outputs}
    written = [(node.op_type, value) for node in model.graph for value in node.outputs]
    assert "Attention" in {kind for kind, _ in written}
    assert [kind for kind, value in written if id(value) not in read] == []


@pytest.mark.parametrize("opset", [18, 20, 22, 23, 24])
def test_every_opset_runs(opset: int, tmp_path: Path) -> None:
    module = Call(
        lambda m, x: m.out(F.scaled_dot_product_attention(*(m.qkv(x)[:, None].chunk(3, -1)))[:, 0]) + F.gelu(x),
        qkv=nn.Linear(16, 48), out=nn.Linear(16, 16),
    )  # fmt: skip
    found = lowered(captured(module, X), target_named("standard").at(opset))
    assert ("Attention" in found.operators) == (opset >= 23)
    assert ("Gelu" in found.operators) == (opset >= 20)
    agree(module, found, tmp_path, X)


def frames(m: nn.Module, x: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    heads = [part.unflatten(-1, (2, 8)).transpose(1, 2) for part in (x, x.cos(), x.sin())]
    return F.scaled_dot_product_attention(*heads, bias, scale=0.3).transpose(1, 2).flatten(2)


@pytest.mark.parametrize(
    ("keys", "opset", "masked", "dynamic", "wanted"),
    [
        (64, 23, False, False, "Attention"),
        (65, 23, False, False, "com.microsoft::MultiHeadAttention"),
        (8, 22, False, False, "com.microsoft::MultiHeadAttention"),
        (8, 23, True, False, "com.microsoft::MultiHeadAttention"),
        (8, 23, False, True, "com.microsoft::MultiHeadAttention"),
    ],
    ids=["few", "many", "before-23", "masked", "symbolic"],
)
def test_few_keys_take_the_faster_operator(
    keys: int, opset: int, masked: bool, dynamic: bool, wanted: str, tmp_path: Path
) -> None:
    x = torch.randn(3, keys, 16, generator=torch.Generator().manual_seed(0))
    given = (x, torch.linspace(-2, 0, keys * keys).reshape(keys, keys)) if masked else (x,)
    module = Call(frames)
    found = lowered(captured(module, *given, dynamic=dynamic), target_named(CPU).at(opset))
    assert found.operators.get(wanted) == 1
    assert sum(found.operators.get(name, 0) for name in ("com.microsoft::MultiHeadAttention", "Attention")) == 1
    agree(module, found, tmp_path, *given)
