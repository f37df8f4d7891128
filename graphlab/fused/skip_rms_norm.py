"""`graphlab::skip_rms_norm`: a residual addition and the RMS norm of the sum, which a transformer reads again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from graphlab.fused.registry import Emit, define, opset18, value_of
from graphlab.graph import TensorSpec
from graphlab.ops import elementwise, normalization
from graphlab.ops.rule import Work, op

aten = torch.ops.aten


def decompose(
    emit: Emit, x: Any, residual: Any, shape: Sequence[Any], weight: Any = None, eps: float | None = None
) -> tuple[Any, Any]:
    """(RMS norm of x + residual over the trailing axes `shape`, x + residual).

    x and residual (*b, *shape) have one shape and one dtype, RuntimeError otherwise: a kernel that broadcasts or
    promotes is another kernel. weight (*shape); `eps` left out is as in aten.rms_norm (`epsilon`).
    """
    left, right = value_of(x), value_of(residual)
    if left.dtype != right.dtype or left.shape != right.shape:
        found = " and ".join(f"{tuple(value.shape)} {value.dtype}" for value in (left, right))
        raise RuntimeError(f"graphlab::skip_rms_norm adds tensors of one shape and dtype, got {found}")
    total = emit(aten.add.Tensor, x, residual)
    return emit(aten.rms_norm.default, total, shape, weight, eps), total


def onnx(x: Any, residual: Any, shape: Sequence[int], weight: Any = None, eps: float | None = None) -> Any:
    """Add, and the norm by its formula in float32 (RMSNormalization is of opset 23). A com.microsoft kernel is
    SkipSimplifiedLayerNormalization: the last axis alone, with a weight."""
    onnx_op = opset18()
    total = onnx_op.Add(x, residual)
    wide = onnx_op.Cast(total, to=11 if x.dtype.name == "DOUBLE" else 1)
    axes = list(range(-len(shape), 0))
    mean = onnx_op.ReduceMean(onnx_op.Mul(wide, wide), axes, keepdims=1)
    normed = onnx_op.Div(wide, onnx_op.Sqrt(onnx_op.Add(mean, onnx_op.CastLike(epsilon(x, eps), wide))))
    if weight is not None:
        normed = onnx_op.Mul(normed, onnx_op.CastLike(weight, wide))
    return onnx_op.CastLike(normed, x), total


def epsilon(x: Any, eps: float | None) -> float:
    """`eps`; left out, that of the dtype ATen computes the norm of x in, which is float32 for half precision."""
    computed = torch.float64 if x.dtype.name == "DOUBLE" else torch.float32
    return float(torch.finfo(computed).eps) if eps is None else eps


SKIP_RMS_NORM = define(
    "skip_rms_norm(Tensor x, Tensor residual, SymInt[] shape, Tensor? weight=None, float? eps=None) "
    "-> (Tensor normed, Tensor sum)",
    decompose,
    onnx,
)


@op(str(SKIP_RMS_NORM), category="normalization", axes="broadcast")
def rule(
    x: TensorSpec,
    residual: TensorSpec,
    shape: Any,
    weight: TensorSpec | None = None,
    eps: float | None = None,
    *,
    out: Any,
) -> Work:
    """As rms_norm, and 1 an element for the sum, which is written but not read back."""
    normed, total = out
    norm = normalization.rms_norm(total, shape, weight, eps, out=normed)
    return Work(0, elementwise.add(x, residual, out=total).pointwise + norm.pointwise)
