"""graphlab::skip_rms_norm and graphlab::quick_gelu against torch's own operators: numbers, fake results, cost."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from graphlab.fused.quick_gelu import QUICK_GELU
from graphlab.fused.skip_rms_norm import SKIP_RMS_NORM
from graphlab.passes.rewrite.decompose_fused import DecomposeFused
from tests.fused.cases import DTYPES, Function, captured, ops, run, work


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("eps", [None, 1e-3], ids=["no_eps", "eps"])
@pytest.mark.parametrize("weighted", [False, True])
def test_numbers_are_torchs(dtype: torch.dtype, eps: float | None, weighted: bool) -> None:
    tokens = torch.randn(2, 5, 12, dtype=dtype)
    for x in (tokens, tokens.transpose(0, 1), tokens[..., ::2], tokens[:, :0], tokens[0, 0]):
        residual = torch.randn(x.shape, dtype=dtype)
        weight = torch.randn(x.shape[-1], dtype=dtype) if weighted else None
        normed, total = SKIP_RMS_NORM(x, residual, x.shape[-1:], weight, eps)
        assert torch.equal(total, x + residual)
        assert torch.equal(normed, F.rms_norm(x + residual, x.shape[-1:], weight, eps))


@pytest.mark.parametrize("residual", [torch.zeros(5), torch.zeros(2, 5, dtype=torch.float64)], ids=["shape", "dtype"])
def test_residual_of_another_shape_or_dtype_is_refused(residual: torch.Tensor) -> None:
    with pytest.raises(RuntimeError, match=r"tensors of one shape and dtype, got \(2, 5\) torch.float32 and "):
        SKIP_RMS_NORM(torch.zeros(2, 5), residual, [5])


def test_torch_finds_schema_and_fake_results_right() -> None:
    x, y, weight = torch.randn(2, 8), torch.randn(2, 8), torch.randn(8)
    torch.library.opcheck(SKIP_RMS_NORM, (x, y, [8], weight), test_utils=("test_schema", "test_faketensor"))
    torch.library.opcheck(QUICK_GELU, (x, 1.5), test_utils=("test_schema", "test_faketensor"))


def test_decomposition_is_the_same_numbers() -> None:
    module = Function(lambda _, x, y: SKIP_RMS_NORM(x, y, [8], None, 1e-6))
    x, y = torch.randn(4, 8), torch.randn(4, 8)
    program = DecomposeFused().run(captured(module, x, y, dynamic=False)).program
    assert ops(program) == ["aten.add.Tensor", "aten.rms_norm.default"]
    for out, wanted in zip(run(program, x, y), module(x, y), strict=True):
        assert torch.equal(out, wanted)


def test_cost() -> None:
    module = Function(lambda _, x, y: SKIP_RMS_NORM(x, y, [8], None, 1e-6))
    fused = captured(module, torch.randn(4, 8), torch.randn(4, 8), dynamic=False)
    spelled = DecomposeFused().run(fused).program
    assert work(fused.graph) == (0, 4 * 32 + 3 * 4, 4 * 4 * 32)
    assert work(spelled.graph) == (0, 4 * 32 + 3 * 4, 4 * 5 * 32)  # the sum is read back


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_quick_gelu(dtype: torch.dtype) -> None:
    x = torch.randn(3, 8, dtype=dtype)
    for alpha in (1.702, -2.0):
        assert torch.equal(QUICK_GELU(x, alpha), x * torch.sigmoid(x * alpha))
    module = Function(lambda _, y: QUICK_GELU(y))
    fused = captured(module, x, dynamic=False)
    spelled = DecomposeFused().run(fused).program
    assert ops(spelled) == ["aten.mul.Tensor", "aten.sigmoid.default", "aten.mul.Tensor"]
    assert work(fused.graph)[:2] == work(spelled.graph)[:2] == (0, 6 * 24)
