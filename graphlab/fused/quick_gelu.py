"""`graphlab::quick_gelu`: x * sigmoid(alpha * x), an approximation of GELU (Hendrycks 2016, arXiv:1606.08415)."""

from __future__ import annotations

from typing import Any

import torch

from graphlab.fused.registry import Emit, define, opset18
from graphlab.graph import TensorSpec
from graphlab.ops import activation, elementwise
from graphlab.ops.rule import Work, op

aten = torch.ops.aten


def decompose(emit: Emit, x: Any, alpha: float = 1.702) -> Any:
    """x (*s) to x * sigmoid(alpha x) (*s)."""
    return emit(aten.mul.Tensor, x, emit(aten.sigmoid.default, emit(aten.mul.Tensor, x, alpha)))


def onnx(x: Any, alpha: float = 1.702) -> Any:
    """Mul, Sigmoid, Mul. The com.microsoft kernel is QuickGelu, with the same alpha."""
    onnx_op = opset18()
    return onnx_op.Mul(x, onnx_op.Sigmoid(onnx_op.Mul(x, onnx_op.CastLike(alpha, x))))


QUICK_GELU = define("quick_gelu(Tensor x, float alpha=1.702) -> Tensor", decompose, onnx)


@op(str(QUICK_GELU), category="activation", axes="same")
def rule(x: TensorSpec, alpha: float = 1.702, *, out: TensorSpec) -> Work:
    """6 an element: the product with alpha, as sigmoid, and 1 for the product."""
    scaled = elementwise.mul(x, alpha, out=out).pointwise
    return Work(0, scaled + activation.sigmoid(out, out=out).pointwise + elementwise.mul(x, out, out=out).pointwise)
