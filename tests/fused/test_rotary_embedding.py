"""graphlab::rotary_embedding against its formula: numbers, shapes without data, cost, axes."""

from __future__ import annotations

import pytest
import torch

from graphlab.fused.rotary_embedding import ROTARY_EMBEDDING, rule
from graphlab.graph import TensorSpec
from graphlab.passes.rewrite.decompose_fused import DecomposeFused
from tests.fused.cases import DTYPES, Function, captured, result_axes, run, work


def turned(x: torch.Tensor, f: torch.Tensor, interleaved: bool, heads_first: bool) -> torch.Tensor:
    """Every pair as a complex number times e^(i f), in float64; x (b, h, t, d), (b, t, h, d) or (b, t, d)."""
    half = f.shape[-1]
    f = f.double() if x.dim() == 3 else f.double().unsqueeze(1 if heads_first else 2)
    head = x[..., : 2 * half].double()
    pairs = head.unflatten(-1, (half, 2)) if interleaved else head.unflatten(-1, (2, half)).transpose(-1, -2)
    product = torch.view_as_real(torch.view_as_complex(pairs.contiguous()) * torch.polar(torch.ones_like(f), f))
    joined = product.flatten(-2) if interleaved else product.transpose(-1, -2).flatten(-2)
    return torch.cat([joined, x[..., 2 * half :].double()], -1).to(x.dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize("heads_first", [False, True])
def test_numbers_are_those_of_the_formula(dtype: torch.dtype, interleaved: bool, heads_first: bool) -> None:
    x = torch.randn((2, 3, 5, 8) if heads_first else (2, 5, 3, 8), dtype=dtype)
    for half in (4, 3):
        for batch in (1, 2):
            f = torch.randn(batch, 5, half, dtype=torch.promote_types(dtype, torch.float32))
            out = ROTARY_EMBEDDING(x, f.cos(), f.sin(), interleaved, heads_first)
            assert (out.dtype, out.shape) == (dtype, x.shape)
            torch.testing.assert_close(out, turned(x, f, interleaved, heads_first))
            assert torch.equal(out[..., 2 * half :], x[..., 2 * half :])


def test_three_axes_are_one_head() -> None:
    x, f = torch.randn(2, 5, 8), torch.randn(1, 5, 4)
    torch.testing.assert_close(ROTARY_EMBEDDING(x, f.cos(), f.sin(), True), turned(x, f, True, True))


def test_half_precision_is_computed_in_the_dtype_of_the_tables() -> None:
    x, f = torch.randn(2, 3, 5, 8, dtype=torch.bfloat16), torch.randn(1, 5, 4)
    wide = ROTARY_EMBEDDING(x.float(), f.cos(), f.sin())
    assert torch.equal(ROTARY_EMBEDDING(x, f.cos(), f.sin()), wide.bfloat16())


@pytest.mark.parametrize(
    ("shape", "table"), [((5, 8), (1, 5, 4)), ((2, 3, 5, 8), (5, 4)), ((1, 2, 3, 5, 8), (1, 5, 4))], ids=str
)
def test_other_ranks_are_refused(shape: tuple[int, ...], table: tuple[int, ...]) -> None:
    with pytest.raises(RuntimeError, match="takes three or four axes and tables of three"):
        ROTARY_EMBEDDING(torch.zeros(shape), torch.zeros(table), torch.zeros(table))


@pytest.mark.parametrize(("cos", "sin"), [(5, 5), (4, 3)])
def test_other_numbers_of_angles_are_refused(cos: int, sin: int) -> None:
    with pytest.raises(RuntimeError, match=f"turns pairs of 8 channels, got {cos} and {sin} angles"):
        ROTARY_EMBEDDING(torch.zeros(2, 3, 5, 8), torch.zeros(1, 5, cos), torch.zeros(1, 5, sin))


def test_torch_finds_schema_and_fake_results_right() -> None:
    x, table = torch.randn(2, 3, 5, 8), torch.randn(1, 5, 3)
    torch.library.opcheck(ROTARY_EMBEDDING, (x, table, table, True), test_utils=("test_schema", "test_faketensor"))


def test_meta() -> None:
    x = torch.empty(2, 3, 5, 8, device="meta", dtype=torch.bfloat16)
    out = ROTARY_EMBEDDING(x, torch.empty(1, 5, 4, device="meta"), torch.empty(1, 5, 4, device="meta"))
    assert (out.shape, out.dtype, out.device.type) == (x.shape, torch.bfloat16, "meta")


@pytest.mark.parametrize("half", [4, 2])
def test_decomposition_is_the_same_numbers_and_flops(half: int) -> None:
    module = Function(lambda _, x, cos, sin: ROTARY_EMBEDDING(x, cos, sin, True))
    given = (torch.randn(2, 3, 5, 8), torch.randn(1, 5, half), torch.randn(1, 5, half))
    fused = captured(module, *given, dynamic=False)
    spelled = DecomposeFused().run(fused).program
    assert torch.equal(run(spelled, *given), module(*given))
    assert work(fused.graph)[1] == work(spelled.graph)[1] == 6 * 30 * half
    assert work(fused.graph)[2] == 4 * (2 * 240 + 2 * 5 * half)
    assert work(spelled.graph)[2] > work(fused.graph)[2]


def test_work_takes_expressions() -> None:
    import sympy

    n = sympy.Symbol("n", positive=True)
    x, table = TensorSpec((2, 3, n, 8), (1, 1, 1, 1), "float32"), TensorSpec((1, n, 4), (1, 1, 1), "float32")
    assert rule(x, table, table, out=x).pointwise == 144 * n


def test_axes_are_those_of_x() -> None:
    module = Function(lambda _, x, f: ROTARY_EMBEDDING(x.transpose(1, 2), f, f))
    traced = result_axes(captured(module, torch.randn(2, 5, 3, 8), torch.randn(1, 5, 4)).graph)
    assert [sorted(factor.origins) for axis in traced[0] for factor in axis] == [
        ["args_0.d0"],
        ["args_0.d2"],
        ["args_0.d1"],
        ["args_0.d3"],
    ]
