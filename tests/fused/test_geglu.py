"""graphlab::geglu against torch's own operators: numbers, shapes without data, cost, axes."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from graphlab.fused.geglu import GEGLU, decompose, rule
from graphlab.graph import TensorSpec
from graphlab.passes.rewrite.decompose_fused import DecomposeFused
from tests.fused.cases import DTYPES, Function, captured, ops, result_axes, run, work


def spelled(x: torch.Tensor, approximate: str, gate_first: bool) -> torch.Tensor:
    hidden, gate = x.tensor_split(2, dim=-1)[:: -1 if gate_first else 1]
    return hidden * F.gelu(gate, approximate=approximate)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("gate_first", [False, True])
@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_numbers_are_torchs(dtype: torch.dtype, approximate: str, gate_first: bool) -> None:
    x = torch.randn(3, 5, 12, dtype=dtype)
    for given in (x, x.transpose(0, 1), x[..., ::2], x[:, :0], x[..., :0], x[0, 0]):
        assert torch.equal(GEGLU(given, approximate, gate_first), spelled(given, approximate, gate_first))


def test_defaults_are_those_of_diffusers() -> None:
    from diffusers.models.activations import GEGLU as Reference

    layer = Reference(6, 4)
    x = torch.randn(2, 6)
    assert torch.equal(GEGLU(layer.proj(x)), layer(x))


def test_result_is_new_memory() -> None:
    x = torch.zeros(2, 4)
    GEGLU(x).fill_(1)
    assert x.sum() == 0


@pytest.mark.parametrize("shape", [(2, 3), ()])
def test_odd_axis_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(RuntimeError, match=r"halves the last axis, which must be even; got"):
        GEGLU(torch.zeros(shape))


def test_torch_finds_schema_and_fake_results_right() -> None:
    torch.library.opcheck(GEGLU, (torch.randn(3, 8), "tanh", True), test_utils=("test_schema", "test_faketensor"))


def test_meta() -> None:
    out = GEGLU(torch.empty(7, 6, device="meta", dtype=torch.bfloat16))
    assert (out.shape, out.dtype, out.device.type) == ((7, 3), torch.bfloat16, "meta")


def test_sizes_stay_symbolic() -> None:
    inner = torch.export.Dim("inner", min=2)
    rows = torch.export.Dim("rows", min=2)
    module = Function(lambda _, x: GEGLU(x, "tanh"))
    program = torch.export.export(module, (torch.randn(3, 8),), dynamic_shapes=(({0: rows, 1: 2 * inner},),))
    x = torch.randn(5, 14)
    assert torch.equal(program.module()(x), spelled(x, "tanh", False))


def test_decomposition_is_the_same_numbers_in_aten() -> None:
    module = Function(lambda _, x: GEGLU(x, "tanh", True))
    x = torch.randn(4, 8)
    program = DecomposeFused().run(captured(module, x)).program
    assert ops(program) == ["aten.chunk.default", "aten.gelu.default", "aten.mul.Tensor"]
    assert torch.equal(run(program, x), module(x))
    assert torch.equal(decompose(lambda target, *a, **k: target(*a, **k), x, "tanh", True), module(x))


@pytest.mark.parametrize(("approximate", "each"), [("none", 6), ("tanh", 10)])
def test_cost(approximate: str, each: int) -> None:
    module = Function(lambda _, x: GEGLU(x, approximate))
    fused = captured(module, torch.randn(4, 10))
    spelled_out = DecomposeFused().run(fused).program
    assert work(fused.graph) == (0, each * 4 * 5, 4 * 4 * 15)
    assert work(spelled_out.graph) == (0, each * 4 * 5, 4 * 4 * 25)  # gelu is written and read back


def test_work_takes_expressions() -> None:
    import sympy

    n = sympy.Symbol("n", positive=True)
    wide, out = TensorSpec((n, 8), (8, 1), "float32"), TensorSpec((n, 4), (4, 1), "float32")
    assert rule(wide, out=out).pointwise == 24 * n


def test_axes_are_those_of_the_decomposition() -> None:
    module = Function(lambda _, x: GEGLU(x.transpose(1, 2)))
    fused = captured(module, torch.randn(2, 10, 3))
    traced = result_axes(fused.graph)
    assert traced == result_axes(DecomposeFused().run(fused).program.graph)
    assert [sorted(factor.origins) for axis in traced[0] for factor in axis] == [
        ["args_0.d0"],
        ["args_0.d2"],
        ["args_0.d1"],
    ]


def test_halves_of_a_concatenation_come_from_both_parts() -> None:
    fused = captured(Function(lambda _, x, y: GEGLU(torch.cat([x, y], 1))), torch.randn(2, 5), torch.randn(2, 5))
    assert result_axes(fused.graph)[0][1][0].origins == {"args_0.d1", "args_1.d1"}
