"""graphlab::group_norm_silu against torch's own operators: numbers, shapes without data, cost, axes."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from graphlab.fused.group_norm_silu import GROUP_NORM_SILU, decompose, rule
from graphlab.graph import TensorSpec
from graphlab.passes.rewrite.decompose_fused import DecomposeFused
from tests.fused.cases import DTYPES, Function, captured, ops, result_axes, run, work


def affine(channels: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(channels, dtype=dtype), torch.randn(channels, dtype=dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("given", ["both", "weight", "neither"])
def test_numbers_are_torchs(dtype: torch.dtype, given: str) -> None:
    weight, bias = affine(8, dtype)
    weight_or_none, bias_or_none = (None if given == "neither" else weight), (bias if given == "both" else None)
    image = torch.randn(2, 8, 6, 4, dtype=dtype)
    layouts = (image, image.to(memory_format=torch.channels_last), image[..., ::2], image.transpose(2, 3))
    ranks = (image[:, :, 0], image.unsqueeze(-1), image[..., 0, 0])
    for x in (*layouts, *ranks, image[:0], image[:, :, :0]):
        out = GROUP_NORM_SILU(x, 4, weight_or_none, bias_or_none, 1e-3)
        wanted = F.silu(F.group_norm(x, 4, weight_or_none, bias_or_none, 1e-3))
        assert torch.equal(out, wanted)
        assert out.stride() == wanted.stride()


def test_groups_that_do_not_divide_are_refused() -> None:
    with pytest.raises(RuntimeError, match="divisible by num_groups"):
        GROUP_NORM_SILU(torch.zeros(2, 8, 3), 3)


def test_torch_finds_schema_and_fake_results_right() -> None:
    x = torch.randn(2, 8, 3, 3)
    torch.library.opcheck(GROUP_NORM_SILU, (x, 2, *affine(8, x.dtype)), test_utils=("test_schema", "test_faketensor"))


def test_meta() -> None:
    x = torch.empty(2, 8, 5, 3, device="meta", dtype=torch.bfloat16)
    out = GROUP_NORM_SILU(x, 4)
    assert (out.shape, out.dtype, out.device.type) == (x.shape, torch.bfloat16, "meta")


def test_sizes_stay_symbolic() -> None:
    sizes = {axis: torch.export.Dim(name, min=2) for axis, name in ((0, "batch"), (2, "height"), (3, "width"))}
    module = Function(lambda _, x: GROUP_NORM_SILU(x, 4))
    program = torch.export.export(module, (torch.randn(2, 8, 4, 6),), dynamic_shapes=((sizes,),))
    x = torch.randn(3, 8, 5, 7)
    assert torch.equal(program.module()(x), module(x))


def test_decomposition_is_the_same_numbers_in_aten() -> None:
    module = Function(lambda m, x: GROUP_NORM_SILU(x, 4, m.norm.weight, m.norm.bias), norm=torch.nn.GroupNorm(4, 8))
    x = torch.randn(2, 8, 4, 6)
    program = DecomposeFused().run(captured(module, x)).program
    assert ops(program) == ["aten.group_norm.default", "aten.silu.default"]
    assert torch.equal(run(program, x), module(x))
    assert torch.equal(decompose(lambda target, *a, **k: target(*a, **k), x, 4), GROUP_NORM_SILU(x, 4))


def test_cost() -> None:
    module = Function(lambda m, x: GROUP_NORM_SILU(x, 4, m.norm.weight, m.norm.bias), norm=torch.nn.GroupNorm(4, 8))
    elements = 2 * 8 * 4 * 6
    fused = captured(module, torch.randn(2, 8, 4, 6))
    pointwise = (5 + 2 + 5) * elements + 4 * 2 * 4
    assert work(fused.graph) == (0, pointwise, 4 * (2 * elements + 16))
    assert work(DecomposeFused().run(fused).program.graph) == (0, pointwise, 4 * (4 * elements + 16))


def test_work_takes_expressions() -> None:
    import sympy

    n = sympy.Symbol("n", positive=True)
    x = TensorSpec((n, 8), (8, 1), "float32")
    assert rule(x, 2, out=x).pointwise == 80 * n + 8 * n


def test_axes_are_those_of_the_decomposition() -> None:
    fused = captured(Function(lambda _, x: GROUP_NORM_SILU(x.transpose(2, 3), 4)), torch.randn(2, 8, 4, 6))
    traced = result_axes(fused.graph)
    assert traced == result_axes(DecomposeFused().run(fused).program.graph)
    assert [sorted(factor.origins) for axis in traced[0] for factor in axis] == [
        ["args_0.d0"],
        ["args_0.d1"],
        ["args_0.d3"],
        ["args_0.d2"],
    ]
