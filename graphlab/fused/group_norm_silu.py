"""`graphlab::group_norm_silu`: group norm followed by x * sigmoid(x), the start of every ResNet block of a U-Net."""

from __future__ import annotations

from typing import Any

import torch

from graphlab.fused.registry import Emit, define, opset18
from graphlab.graph import TensorSpec
from graphlab.ops import activation, normalization
from graphlab.ops.rule import Work, op

aten = torch.ops.aten


def decompose(emit: Emit, x: Any, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """x (b, c, *s) to silu of its group norm over c / groups channels and all of s; weight (c), bias (c)."""
    return emit(aten.silu.default, emit(aten.group_norm.default, x, groups, weight, bias, eps))


def onnx(x: Any, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """InstanceNormalization over the groups (GroupNormalization with a weight a channel is of opset 21), Mul, Add,
    x * Sigmoid(x). A com.microsoft kernel is GroupNorm with activation 1, which is channels-last."""
    onnx_op = opset18()
    ones, zeros = (onnx_op.CastLike(onnx_op.Constant(value_floats=[v] * groups), x) for v in (1.0, 0.0))
    rows = onnx_op.Reshape(x, [0, groups, -1])
    normed = onnx_op.Reshape(onnx_op.InstanceNormalization(rows, ones, zeros, epsilon=eps), onnx_op.Shape(x))
    per_channel = [-1, *[1] * (len(x.shape) - 2)]
    if weight is not None:
        normed = onnx_op.Mul(normed, onnx_op.Reshape(weight, per_channel))
    if bias is not None:
        normed = onnx_op.Add(normed, onnx_op.Reshape(bias, per_channel))
    return onnx_op.Mul(normed, onnx_op.Sigmoid(normed))


GROUP_NORM_SILU = define(
    "group_norm_silu(Tensor x, int groups, Tensor? weight=None, Tensor? bias=None, float eps=1e-05) -> Tensor",
    decompose,
    onnx,
)


@op(str(GROUP_NORM_SILU), category="normalization", axes="same")
def rule(
    x: TensorSpec,
    groups: int,
    weight: TensorSpec | None = None,
    bias: TensorSpec | None = None,
    eps: float = 1e-5,
    *,
    out: TensorSpec,
) -> Work:
    """As group_norm, and 5 an element as silu. The norm between the two is not written."""
    norm = normalization.group_norm(x, groups, weight, bias, eps, out=out)
    return Work(0, norm.pointwise + activation.silu(out, out=out).pointwise)
