"""`graphlab::skip_layer_norm`: a residual addition and the layer norm of the sum, which a transformer reads again."""

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
    emit: Emit,
    x: Any,
    residual: Any,
    shape: Sequence[Any],
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
) -> tuple[Any, Any]:
    """(layer norm of x + residual over the trailing axes `shape`, x + residual).

    x and residual (*b, *shape) have one shape and one dtype, RuntimeError otherwise: a kernel that broadcasts or
    promotes is another kernel. weight, bias (*shape).
    """
    left, right = value_of(x), value_of(residual)
    if left.dtype != right.dtype or left.shape != right.shape:
        found = " and ".join(f"{tuple(value.shape)} {value.dtype}" for value in (left, right))
        raise RuntimeError(f"graphlab::skip_layer_norm adds tensors of one shape and dtype, got {found}")
    total = emit(aten.add.Tensor, x, residual)
    return emit(aten.layer_norm.default, total, shape, weight, bias, eps), total


def onnx(x: Any, residual: Any, shape: Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """Add, LayerNormalization. A com.microsoft kernel is SkipLayerNormalization: the last axis alone, with a weight."""
    onnx_op = opset18()
    total = onnx_op.Add(x, residual)
    first = -len(shape)
    if weight is None:
        weight = onnx_op.CastLike(onnx_op.Add(onnx_op.ConstantOfShape(onnx_op.Shape(total, start=first)), 1.0), x)
    normed, _, _ = onnx_op.LayerNormalization(total, weight, bias, axis=first, epsilon=eps)
    return normed, total


SKIP_LAYER_NORM = define(
    "skip_layer_norm(Tensor x, Tensor residual, SymInt[] shape, Tensor? weight=None, Tensor? bias=None, "
    "float eps=1e-05) -> (Tensor normed, Tensor sum)",
    decompose,
    onnx,
)


@op(str(SKIP_LAYER_NORM), category="normalization", axes="broadcast")
def rule(
    x: TensorSpec,
    residual: TensorSpec,
    shape: Any,
    weight: TensorSpec | None = None,
    bias: TensorSpec | None = None,
    eps: float = 1e-5,
    *,
    out: Any,
) -> Work:
    """As layer_norm, and 1 an element for the sum, which is written but not read back."""
    normed, total = out
    norm = normalization.layer_norm(total, shape, weight, bias, eps, out=normed)
    return Work(0, elementwise.add(x, residual, out=total).pointwise + norm.pointwise)
