"""Norms: with the residual sum where a kernel makes both; group norms as what the provider computes fastest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from graphlab.exporting.contrib import contrib, node
from graphlab.exporting.targets import Target
from graphlab.fused.group_norm_silu import GROUP_NORM_SILU
from graphlab.fused.registry import opset18
from graphlab.fused.skip_layer_norm import SKIP_LAYER_NORM
from graphlab.fused.skip_layer_norm import onnx as spelled_skip_layer_norm
from graphlab.fused.skip_rms_norm import SKIP_RMS_NORM, epsilon

aten = torch.ops.aten


def skip_layer_norm(
    x: Any, residual: Any, shape: Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Any:
    """SkipLayerNormalization where the norm is over the last axis and has a weight; otherwise Add and a norm."""
    if len(shape) != 1 or weight is None or len(x.shape) not in (2, 3):
        return spelled_skip_layer_norm(x, residual, shape, weight, bias, eps)
    made = contrib("SkipLayerNormalization", x, residual, weight, bias, outputs=4, epsilon=eps)
    return made[0], made[3]


def group_norm(x: Any, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """InstanceNormalization over the groups, then weight and bias a channel."""
    op = opset18()

    ones, zeros = (op.CastLike(op.Constant(value_floats=[v] * groups), x) for v in (1.0, 0.0))
    rows = op.Reshape(x, op.Constant(value_ints=[0, groups, -1]))
    normed = op.Reshape(op.InstanceNormalization(rows, ones, zeros, epsilon=eps), op.Shape(x))
    per_channel = op.Constant(value_ints=[-1, *[1] * (len(x.shape) - 2)])
    if weight is not None:
        normed = op.Mul(normed, op.Reshape(weight, per_channel))
    return normed if bias is None else op.Add(normed, op.Reshape(bias, per_channel))


def aten_group_norm(
    x: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5, cudnn_enabled: bool = True
) -> Any:
    """`group_norm`."""
    return group_norm(x, num_groups, weight, bias, eps)


def group_norm_silu(x: Any, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """`group_norm`, then QuickGelu with alpha 1."""
    return contrib("QuickGelu", group_norm(x, groups, weight, bias, eps), alpha=1.0)


def channels_last_group_norm(activation: int) -> Callable[..., Any]:
    """GroupNorm of com.microsoft, which takes (n, h, w, c), float32 weights, and swish as `activation` 1."""

    def translate(x: Any, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5, *_: Any) -> Any:
        channels = x.shape[1] if len(x.shape) == 4 else None
        if not isinstance(channels, int) or weight is None or bias is None or not _has_kernel(channels, groups):
            return (group_norm_silu if activation else group_norm)(x, groups, weight, bias, eps)
        op = opset18()
        wide = [op.Cast(value, to=_FLOAT) for value in (weight, bias)]
        rows = op.Transpose(x, perm=[0, 2, 3, 1])
        made = contrib("GroupNorm", rows, *wide, activation=activation, channels_last=1, epsilon=eps, groups=groups)
        return op.Transpose(made, perm=[0, 3, 1, 2])

    return translate


_FLOAT = 1
_GROUPS, _WIDEST = 32, 512


def _has_kernel(channels: int, groups: int) -> bool:
    """What onnxruntime's contrib_ops/cuda/diffusion/group_norm_impl.cu takes: 32 groups, evenly many channels each."""
    return groups == _GROUPS and channels % (2 * groups) == 0 and channels // groups <= _WIDEST


def rms_norm(x: Any, normalized_shape: Sequence[int], weight: Any = None, eps: float | None = None) -> Any:
    """RMSNormalization of opset 23; without `eps` ATen's own."""
    op = opset18()
    axis = -len(normalized_shape)
    if weight is None:
        weight = op.Add(op.ConstantOfShape(op.Shape(x, start=axis)), 1.0)
    return node("", "RMSNormalization", (x, op.CastLike(weight, x)), {"axis": axis, "epsilon": epsilon(x, eps)})


def skip_rms_norm(x: Any, residual: Any, shape: Sequence[int], weight: Any = None, eps: float | None = None) -> Any:
    """SkipSimplifiedLayerNormalization where the norm is over the last axis and has a weight; else two operators."""
    if len(shape) != 1 or weight is None or len(x.shape) not in (2, 3) or weight.dtype != x.dtype:
        return added_rms_norm(x, residual, shape, weight, eps)
    made = contrib("SkipSimplifiedLayerNormalization", x, residual, weight, outputs=4, epsilon=epsilon(x, eps))
    return made[0], made[3]


def added_rms_norm(x: Any, residual: Any, shape: Sequence[int], weight: Any = None, eps: float | None = None) -> Any:
    """Add, RMSNormalization."""
    total = node("", "Add", (x, residual), {})
    total.type, total.shape = x.type, x.shape
    return rms_norm(total, shape, weight, eps), total


def translations(target: Target) -> Mapping[Callable[..., Any], Callable[..., Any]]:
    """Those of norms for `target`."""
    found: dict[Callable[..., Any], Callable[..., Any]] = {}
    if target.has("SkipLayerNormalization"):
        found[SKIP_LAYER_NORM] = skip_layer_norm
    if target.opset >= 23:
        found[aten.rms_norm.default] = rms_norm
        fused = target.has("SkipSimplifiedLayerNormalization")
        found[SKIP_RMS_NORM] = skip_rms_norm if fused else added_rms_norm
    if target.has("GroupNorm"):
        found |= {aten.group_norm.default: channels_last_group_norm(0), GROUP_NORM_SILU: channels_last_group_norm(1)}
    elif target.has("QuickGelu"):
        found |= {GROUP_NORM_SILU: group_norm_silu}
    return found
