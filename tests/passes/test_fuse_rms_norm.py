"""fuse-rms-norm: what fires in which spelling and dtype, what does not and why, same numbers, second run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from graphlab.passes.rewrite.fuse_rms_norm import FuseRmsNorm
from graphlab.plugins import find_pass
from graphlab.program import Program
from graphlab.verification.verify import verify
from tests.fused.cases import Function, captured, ops, stays
from tests.passes.rewrites import text

Call = Callable[[Any, torch.Tensor], Any]
NORM = "aten.rms_norm.default"


def built(call: Call, width: int = 8) -> Function:
    return Function(call, norm=nn.RMSNorm(width), other=nn.Linear(width, width))


def proven(module: nn.Module, *args: torch.Tensor, dynamic: bool = True) -> Program:
    """`module` after the pass, which verification finds equal and a second run leaves alone."""
    program = captured(module, *args, dynamic=dynamic)
    result = FuseRmsNorm().run(program)
    assert result.modified, [skip.why for skip in result.skips]
    outcome = verify(program, result.program, result.changes, new_tensors=result.new_tensors)
    outcome.raise_for_error()
    assert outcome.worst_float64 is not None
    assert not FuseRmsNorm().run(result.program).modified
    return result.program


def by_rsqrt(m: Any, x: torch.Tensor) -> torch.Tensor:
    return m.norm.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5))


def by_root(m: Any, x: torch.Tensor) -> torch.Tensor:
    return x / torch.sqrt(1e-5 + (x * x).mean(-1, keepdim=True)) * m.norm.weight


def by_power(m: Any, x: torch.Tensor) -> torch.Tensor:
    return x * (x.square().mean(dim=-1, keepdim=True) + 1e-5).pow(-0.5) * m.norm.weight[None, None]


def by_reciprocal(m: Any, x: torch.Tensor) -> torch.Tensor:
    return m.norm.weight * (x * (1 / ((x**2).mean(-1, keepdim=True) + 1e-5) ** 0.5))


def by_sum(m: Any, x: torch.Tensor) -> torch.Tensor:
    y = m.other(x)
    return m.norm.weight * (y * ((y * y).sum(-1, keepdim=True) / 8 + 1e-5).rsqrt())


def axis_put_back(m: Any, x: torch.Tensor) -> torch.Tensor:
    return m.norm.weight * (x * torch.rsqrt(x.pow(2).mean(-1) + 1e-5).unsqueeze(-1))


WEIGHTED: dict[str, Call] = {
    "rsqrt": by_rsqrt,
    "root": by_root,
    "power": by_power,
    "reciprocal": by_reciprocal,
    "sum_over_count": by_sum,
    "axis_put_back": axis_put_back,
}


@pytest.mark.parametrize("name", sorted(WEIGHTED))
def test_fires_with_its_weight(name: str) -> None:
    program = proven(built(WEIGHTED[name]), torch.randn(2, 5, 8))
    assert [op for op in ops(program) if "linear" not in op and "reshape" not in op and "unsqueeze" not in op] == [NORM]
    (norm,) = (call for call in program.graph.calls if call.target == NORM)
    assert len(norm.args) >= 3
    assert norm.args[3] == 1e-5


def test_before_and_after() -> None:
    program = captured(built(by_rsqrt), torch.randn(2, 5, 8), dynamic=False)
    assert [line.partition(" = ")[2] for line in text(program)] == [
        "pow.Tensor_Scalar(args_0, 2)",
        "mean.dim(pow_1, [-1], True)",
        "add.Tensor(mean, 1e-05)",
        "rsqrt(add)",
        "mul.Tensor(args_0, rsqrt)",
        "mul.Tensor(p_norm_weight, mul)",
    ]
    result = FuseRmsNorm().run(program)
    assert text(result.program) == ["rms_norm_default = rms_norm(args_0, [8], p_norm_weight, 1e-05)"]
    (change,) = result.changes
    assert (change.pass_name, change.values) == ("fuse-rms-norm", (("mul_1", "rms_norm_default"),))
    assert find_pass("fuse-rms-norm") is FuseRmsNorm


def test_without_eps_and_over_two_axes() -> None:
    def call(m: Any, x: torch.Tensor) -> torch.Tensor:
        return x * x.square().mean((-2, -1), keepdim=True).rsqrt()

    program = proven(Function(call), torch.randn(2, 5, 8))
    assert ops(program) == [NORM]
    shape, weight, eps = program.graph.calls[-1].args[1:]
    assert ([str(size.text) for size in shape], weight, eps) == (["args_0.d1", "args_0.d2"], None, 0.0)


def library(name: str) -> nn.Module:
    """A norm of transformers or diffusers of width 8."""
    from diffusers.models.normalization import RMSNorm
    from transformers.models.gemma.modeling_gemma import GemmaRMSNorm
    from transformers.models.llama.modeling_llama import LlamaRMSNorm
    from transformers.models.t5.modeling_t5 import T5LayerNorm

    made = {"llama": LlamaRMSNorm, "gemma": GemmaRMSNorm, "t5": T5LayerNorm}
    layer = RMSNorm(8, 1e-6) if name == "diffusers" else made[name](8)
    nn.init.normal_(layer.weight)
    return layer


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", ["diffusers", "gemma", "llama", "t5"])
def test_layers_of_libraries(name: str, dtype: torch.dtype) -> None:
    left = ops(proven(library(name).to(dtype), torch.randn(2, 5, 8, dtype=dtype)))
    assert left.count(NORM) == 1
    assert not {"aten.rsqrt.default", "aten.mul.Tensor", "aten.mean.dim"} & set(left)
    if name != "gemma" or dtype is torch.float32:
        assert set(left) <= {NORM, "aten.to.dtype", "aten.add.Tensor"}
    if name != "gemma":
        assert left == [NORM]


@pytest.mark.parametrize("name", ["diffusers", "t5"])
def test_weight_wider_than_the_input_keeps_the_cast(name: str) -> None:
    program = proven(library(name), torch.randn(2, 5, 8, dtype=torch.bfloat16))
    assert ops(program) == ["aten.to.dtype", NORM]
    assert program.graph.calls[-1].out.dtype == "float32"


def test_readers_get_row_major_memory() -> None:
    def heads(m: Any, x: torch.Tensor) -> torch.Tensor:
        rows = by_rsqrt(m, x.view(2, 5, 2, 4).transpose(1, 2))
        return rows.transpose(1, 2).view(2, 5, 8)

    program = proven(built(heads, 4), torch.randn(2, 5, 8), dynamic=False)
    assert ops(program)[-1] == "aten.reshape.default"


def per_row(m: Any, x: torch.Tensor) -> torch.Tensor:
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * x[:, :1]


def wrong_axis(m: Any, x: torch.Tensor) -> torch.Tensor:
    return x * torch.rsqrt(x.pow(2).mean((-2, -1), keepdim=True) + 1e-5) * m.norm.weight


@pytest.mark.parametrize("call", [per_row, wrong_axis])
def test_other_factors_stay_behind_the_norm(call: Call) -> None:
    left = ops(proven(built(call), torch.randn(2, 5, 8)))
    assert left[-1] == "aten.mul.Tensor"
    assert left.count(NORM) == 1


def layer_norm(m: Any, x: torch.Tensor) -> torch.Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return centred * torch.rsqrt(centred.pow(2).mean(-1, keepdim=True) + 1e-5)


def root_read_twice(m: Any, x: torch.Tensor) -> torch.Tensor:
    root = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5)
    return x * root + root


def square_read_twice(m: Any, x: torch.Tensor) -> torch.Tensor:
    square = x.pow(2)
    return x * torch.rsqrt(square.mean(-1, keepdim=True) + 1e-5) + square


def other_value(m: Any, x: torch.Tensor) -> torch.Tensor:
    return m.other(x) * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5)


STAYS: dict[str, tuple[Call, str]] = {
    "layer_norm": (layer_norm, "sub takes its mean off: this is a layer norm"),
    "root_read_twice": (root_read_twice, "rsqrt is read by 2 others, not by one product"),
    "square_read_twice": (square_read_twice, "pow_1 is read elsewhere, by add_1"),
    "other_value": (other_value, "mul scales linear, the mean square is that of args_0"),
    "first_axis": (
        lambda m, x: x * torch.rsqrt(x.pow(2).mean(1, keepdim=True) + 1e-5),
        "it is over the axes [1] of 3, not the last ones",
    ),
    "sum": (
        lambda m, x: x * torch.rsqrt(x.pow(2).sum(-1, keepdim=True) + 1e-5),
        "it sums the squares and takes no mean of them",
    ),
    "eps_outside": (
        lambda m, x: x / (x.pow(2).mean(-1, keepdim=True).sqrt() + 1e-5),
        "add adds to the root, not to the mean square under it",
    ),
    "length": (lambda m, x: F.normalize(x, dim=-1), "the length is clamped from below"),
    "bare_length": (lambda m, x: x / x.norm(dim=-1, keepdim=True), "rows of zeros become NaN"),
    "axis_put_back_elsewhere": (
        lambda m, x: x * torch.rsqrt(x.pow(2).mean(-1) + 1e-5).unsqueeze(1),
        "the axis it is over is not put back where it was",
    ),
}


@pytest.mark.parametrize("name", sorted(STAYS))
def test_stays(name: str) -> None:
    call, reason = STAYS[name]
    found = stays(FuseRmsNorm(), built(call), torch.randn(2, 8, 8))
    assert len(found) == 1
    assert reason in found[0]


def test_others_are_no_candidates() -> None:
    for call in (
        lambda m, x: m.norm(x),
        lambda m, x: x * torch.rsqrt(x + 1.0),
        lambda m, x: x.norm(dim=-1),
        lambda m, x: x.pow(2).mean(-1, keepdim=True).sqrt(),
    ):
        assert stays(FuseRmsNorm(), built(call), torch.randn(2, 5, 8)) == []


@settings(max_examples=8, deadline=None)
@given(
    axes=st.integers(1, 3),
    eps=st.sampled_from([0.0, 1e-6, 0.5]),
    wide=st.booleans(),
    inverse=st.booleans(),
    shape=st.lists(st.integers(2, 5), min_size=3, max_size=4),
)
def test_any_shape(axes: int, eps: float, wide: bool, inverse: bool, shape: list[int]) -> None:
    dims = tuple(range(-axes, 0))

    def call(m: Any, x: torch.Tensor) -> torch.Tensor:
        y = x.float() if wide else x
        root = (y * y).mean(dims, keepdim=True) + eps
        return (y * root.rsqrt() if inverse else y / root.sqrt()).to(x.dtype)

    x = torch.randn(shape, dtype=torch.bfloat16 if wide else torch.float32)
    program = captured(Function(call), x, dynamic=False)
    result = FuseRmsNorm().run(program)
    assert ops(result.program) == [NORM]
    verify(program, result.program, result.changes).raise_for_error()
