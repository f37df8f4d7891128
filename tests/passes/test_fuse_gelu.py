"""fuse-gelu: what fires in which spelling, what does not and why, same numbers, second run."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from graphlab.passes.rewrite.fuse_gelu import FuseGelu
from graphlab.plugins import find_pass
from graphlab.program import Program
from graphlab.verification.verify import verify
from tests.fused.cases import Function, captured, ops, stays
from tests.passes.rewrites import text

Call = Callable[[Any, torch.Tensor], Any]
ROOT = math.sqrt(2 / math.pi)


def built(call: Call) -> Function:
    return Function(call, other=nn.Linear(8, 8))


def proven(module: nn.Module, *args: torch.Tensor) -> Program:
    """`module` after the pass, which verification finds equal and a second run leaves alone."""
    program = captured(module, *args)
    result = FuseGelu().run(program)
    assert result.modified, [skip.why for skip in result.skips]
    verify(program, result.program, result.changes, new_tensors=result.new_tensors).raise_for_error()
    assert not FuseGelu().run(result.program).modified
    return result.program


def cubic(x: torch.Tensor) -> torch.Tensor:
    return torch.tanh(ROOT * (x + 0.044715 * torch.pow(x, 3.0)))


FIRES: dict[str, tuple[Call, str]] = {
    "erf_by_root": (lambda m, x: 0.5 * x * (1 + torch.erf(x / math.sqrt(2))), "none"),
    "erf_by_factor": (lambda m, x: x * (torch.erf(x * math.sqrt(0.5)) + 1) / 2, "none"),
    "erf_spread": (lambda m, x: x * 0.5 + 0.5 * x * torch.erf(x / math.sqrt(2)), "none"),
    "tanh_cubed": (lambda m, x: 0.5 * x * (1.0 + cubic(x)), "tanh"),
    "tanh_in_factors": (
        lambda m, x: 0.5 * x * (1.0 + torch.tanh(x * ROOT * (1.0 + 0.044715 * x * x))),
        "tanh",
    ),
    "tanh_ten_digits": (
        lambda m, x: 0.5 * x * (1.0 + torch.tanh(x * 0.7978845608 * (1.0 + 0.044715 * x * x))),
        "tanh",
    ),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", sorted(FIRES))
def test_fires(name: str, dtype: torch.dtype) -> None:
    call, approximate = FIRES[name]
    after = proven(built(call).to(dtype), torch.randn(2, 5, 8, dtype=dtype))
    assert ops(after) == ["aten.gelu.default"]
    assert dict(after.graph.calls[-1].kwargs) == {"approximate": approximate}


def test_before_and_after() -> None:
    program = captured(built(FIRES["erf_by_root"][0]), torch.randn(2, 8), dynamic=False)
    assert [line.partition(" = ")[2] for line in text(program)] == [
        "mul.Tensor(args_0, 0.5)",
        "div.Tensor(args_0, 1.4142135623730951)",
        "erf(div)",
        "add.Tensor(erf, 1)",
        "mul.Tensor(mul, add)",
    ]
    result = FuseGelu().run(program)
    assert text(result.program) == ["gelu_default = gelu(args_0, approximate=none)"]
    (change,) = result.changes
    assert (change.pass_name, change.values, change.why) == (
        "fuse-gelu",
        (("mul_1", "gelu_default"),),
        "GELU written out",
    )
    assert find_pass("fuse-gelu") is FuseGelu


@pytest.mark.parametrize("name", ["gelu_python", "gelu_new", "gelu_fast", "gelu_accurate", "quick_gelu"])
def test_activations_of_transformers(name: str) -> None:
    from transformers.activations import ACT2FN

    (left,) = ops(proven(built(lambda m, x: ACT2FN[name](x)), torch.randn(2, 5, 8)))
    assert left == ("graphlab.quick_gelu.default" if name == "quick_gelu" else "aten.gelu.default")


@pytest.mark.parametrize("alpha", [1.702, 3.0, -1.0])
def test_quick_gelu_keeps_its_factor(alpha: float) -> None:
    program = proven(built(lambda m, x: torch.sigmoid(alpha * x) * x), torch.randn(2, 8))
    assert ops(program) == ["graphlab.quick_gelu.default"]
    assert program.graph.calls[-1].args[1] == alpha


def test_gate_of_a_product() -> None:
    def call(m: Any, x: torch.Tensor) -> torch.Tensor:
        y = 2 * m.other(x)
        return 0.5 * y * (1 + torch.erf(y / math.sqrt(2))) * x

    assert ops(proven(built(call), torch.randn(2, 5, 8)))[-2:] == ["aten.gelu.default", "aten.mul.Tensor"]


def read_twice(m: Any, x: torch.Tensor) -> torch.Tensor:
    bent = torch.erf(x / math.sqrt(2))
    return 0.5 * x * (1 + bent) + bent


def argument_read_twice(m: Any, x: torch.Tensor) -> torch.Tensor:
    scaled = x / math.sqrt(2)
    return 0.5 * x * (1 + torch.erf(scaled)) + scaled


def gate_read_twice(m: Any, x: torch.Tensor) -> torch.Tensor:
    gate = torch.sigmoid(1.702 * x)
    return x * gate + gate


STAYS: dict[str, tuple[Call, str]] = {
    "read_twice": (read_twice, "erf is read by 2 others"),
    "argument_read_twice": (argument_read_twice, "div is read elsewhere, by add_1"),
    "gate_read_twice": (gate_read_twice, "sigmoid is read elsewhere, by add"),
    "few_digits": (
        lambda m, x: x * (1 + torch.erf(x / 1.41421)) / 2,
        "its argument is 0.707108562378 x, a GELU's 0.707106781187 x",
    ),
    "other_cubic": (
        lambda m, x: 0.5 * x * (1 + torch.tanh(ROOT * (x + 0.0447 * x**3))),
        "its argument is ",
    ),
    "other_share": (lambda m, x: x * (2 + torch.erf(x / math.sqrt(2))) / 2, "it ends as 1 x + 0.5 x e"),
}


@pytest.mark.parametrize("name", sorted(STAYS))
def test_stays(name: str) -> None:
    call, reason = STAYS[name]
    (found,) = stays(FuseGelu(), built(call), torch.randn(2, 5, 8))
    assert reason in found


def test_others_are_no_candidates() -> None:
    for call in (
        lambda m, x: torch.erf(x),
        lambda m, x: x * torch.tanh(x),
        lambda m, x: x * torch.sigmoid(x),  # silu: group norms fuse with it
        lambda m, x: m.other(x) * torch.sigmoid(1.702 * x),
        lambda m, x: nn.functional.gelu(x),
    ):
        assert stays(FuseGelu(), built(call), torch.randn(2, 5, 8)) == []


@settings(max_examples=8, deadline=None)
@given(factors=st.permutations(["half", "x", "bent"]), swap=st.booleans(), tanh=st.booleans())
def test_any_order_of_factors(factors: list[str], swap: bool, tanh: bool) -> None:
    def call(m: Any, x: torch.Tensor) -> torch.Tensor:
        bent = cubic(x) if tanh else torch.erf(x / math.sqrt(2))
        parts = {"half": 0.5, "x": x, "bent": 1.0 + bent}
        first, second, third = (parts[name] for name in factors)
        return first * (second * third) if swap else first * second * third

    assert ops(proven(built(call), torch.randn(3, 8))) == ["aten.gelu.default"]
