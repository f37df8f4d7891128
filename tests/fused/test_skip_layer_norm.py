"""graphlab::skip_layer_norm against torch's own operators: numbers, shapes without data, cost, axes."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from graphlab.fused.skip_layer_norm import SKIP_LAYER_NORM, decompose, rule
from graphlab.graph import TensorSpec
from graphlab.passes.rewrite.decompose_fused import DecomposeFused
from tests.fused.cases import DTYPES, Function, captured, ops, result_axes, run, work


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("given", ["both", "weight", "neither"])
def test_numbers_are_torchs(dtype: torch.dtype, given: str) -> None:
    tokens = torch.randn(2, 5, 12, dtype=dtype)
    for x in (tokens, tokens.transpose(0, 1), tokens[..., ::2], tokens[:, :0], tokens[0, 0]):
        residual = torch.randn(x.shape, dtype=dtype)
        weight = None if given == "neither" else torch.randn(x.shape[-1], dtype=dtype)
        bias = torch.randn(x.shape[-1], dtype=dtype) if given == "both" else None
        normed, total = SKIP_LAYER_NORM(x, residual, x.shape[-1:], weight, bias, 1e-3)
        assert torch.equal(total, x + residual)
        assert torch.equal(normed, F.layer_norm(x + residual, x.shape[-1:], weight, bias, 1e-3))


def test_several_trailing_axes() -> None:
    x, residual, weight = torch.randn(3, 4, 5), torch.randn(3, 4, 5), torch.randn(4, 5)
    normed, _ = SKIP_LAYER_NORM(x, residual, [4, 5], weight)
    assert torch.equal(normed, F.layer_norm(x + residual, [4, 5], weight))


@pytest.mark.parametrize("residual", [torch.zeros(5), torch.zeros(2, 5, dtype=torch.float64)], ids=["shape", "dtype"])
def test_residual_of_another_shape_or_dtype_is_refused(residual: torch.Tensor) -> None:
    with pytest.raises(RuntimeError, match=r"tensors of one shape and dtype, got \(2, 5\) torch.float32 and "):
        SKIP_LAYER_NORM(torch.zeros(2, 5), residual, [5])


def test_torch_finds_schema_and_fake_results_right() -> None:
    x, y, weight = torch.randn(2, 8), torch.randn(2, 8), torch.randn(8)
    torch.library.opcheck(SKIP_LAYER_NORM, (x, y, [8], weight), test_utils=("test_schema", "test_faketensor"))


def test_meta() -> None:
    x = torch.empty(2, 5, 8, device="meta", dtype=torch.bfloat16)
    for out in SKIP_LAYER_NORM(x, x, [8]):
        assert (out.shape, out.dtype, out.device.type) == (x.shape, torch.bfloat16, "meta")


def test_sizes_stay_symbolic() -> None:
    sizes = {axis: torch.export.Dim(name, min=2) for axis, name in ((0, "batch"), (1, "tokens"), (2, "width"))}
    module = Function(lambda _, x, y: SKIP_LAYER_NORM(x, y, x.shape[-1:]))
    example = (torch.randn(2, 5, 8), torch.randn(2, 5, 8))
    program = torch.export.export(module, example, dynamic_shapes=((sizes, sizes),))
    x, y = torch.randn(3, 7, 6), torch.randn(3, 7, 6)
    for out, wanted in zip(program.module()(x, y), module(x, y), strict=True):
        assert torch.equal(out, wanted)


def fused_module(which: slice) -> Function:
    layers = {"norm": torch.nn.LayerNorm(8)}
    return Function(lambda m, x, y: SKIP_LAYER_NORM(x, y, [8], m.norm.weight, m.norm.bias)[which], **layers)


@pytest.mark.parametrize(
    ("which", "left"), [(slice(0, 2), 2), (slice(0, 1), 2), (slice(1, 2), 1)], ids=["both", "normed", "sum"]
)
def test_decomposition_is_the_same_numbers_in_aten(which: slice, left: int) -> None:
    module = fused_module(which)
    x, y = torch.randn(2, 5, 8), torch.randn(2, 5, 8)
    program = DecomposeFused().run(captured(module, x, y)).program
    assert ops(program) == ["aten.add.Tensor", "aten.layer_norm.default"][:left]  # what nobody reads is not made
    for out, wanted in zip(run(program, x, y), module(x, y), strict=True):
        assert torch.equal(out, wanted)
    for out, wanted in zip(
        decompose(lambda target, *a, **k: target(*a, **k), x, y, [8]), SKIP_LAYER_NORM(x, y, [8]), strict=True
    ):
        assert torch.equal(out, wanted)


def test_cost() -> None:
    fused = captured(fused_module(slice(0, 2)), torch.randn(2, 5, 8), torch.randn(2, 5, 8))
    elements, pointwise = 2 * 5 * 8, (1 + 5 + 2) * 80 + 4 * 10
    assert work(fused.graph) == (0, pointwise, 4 * (4 * elements + 16))
    assert work(DecomposeFused().run(fused).program.graph) == (0, pointwise, 4 * (5 * elements + 16))


def test_work_takes_expressions() -> None:
    import sympy

    n = sympy.Symbol("n", positive=True)
    x = TensorSpec((n, 8), (8, 1), "float32")
    assert rule(x, x, (8,), out=(x, x)).pointwise == 48 * n + 4 * n


def known_axes(which: int) -> tuple[object, object]:
    """(input axes behind every axis of result `which`, of the same after decomposition)."""

    def call(m: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return SKIP_LAYER_NORM(x.transpose(1, 2), y, [8], m.norm.weight, m.norm.bias)[which]

    fused = captured(Function(call, norm=torch.nn.LayerNorm(8)), torch.randn(2, 8, 5), torch.randn(2, 5, 8))
    programs = (fused, DecomposeFused().run(fused).program)
    first, second = ([[f.origins for f in axis if f.known] for axis in result_axes(p.graph)[0]] for p in programs)
    return first, second


def test_axes_of_the_norm_are_those_of_the_decomposition() -> None:
    fused, spelled = known_axes(0)
    assert fused == spelled == [[{"args_0.d0"}], [{"args_0.d2"}], [{"args_0.d1"}]]


def test_axes_of_the_sum_are_those_of_the_decomposition() -> None:
    fused, spelled = known_axes(1)
    assert fused == spelled == [[{"args_0.d0"}], [{"args_0.d2"}], [{"args_0.d1"}]]
