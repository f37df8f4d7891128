"""Conv, ConvTranspose and the fused convolutions of com.microsoft, in one to three dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphlab.errors import SourceError
from graphlab.onnx_graph.call import MICROSOFT, OnnxCall, onnx
from graphlab.onnx_graph.value import Value


@onnx("Conv")
def conv(call: OnnxCall) -> Value:
    """x (n, c, *s), w (o, c / group, *k), bias (o)."""
    x, w = call.input(0), call.input(1)
    x, settings = _settings(call, x, w, x.shape[2:])
    made: Value = call.run(f"aten.conv{_dims(call, w)}d.default", x, w, call.optional(2), *settings)
    return made


@onnx("FusedConv", domain=MICROSOFT)
def fused_conv(call: OnnxCall) -> Value:
    """Conv, plus `z` where given, through an activation, in one kernel."""
    x, w = call.input(0), call.input(1)
    x, settings = _settings(call, x, w, x.shape[2:])
    like = call.tracer.shape_of(f"aten.conv{_dims(call, w)}d.default", x, w, None, *settings)
    extra = (call.optional(3), call.attr("activation", ""))
    return call.same("com.microsoft.FusedConv", like, x, w, call.optional(2), *settings, *extra)


@onnx("NhwcConv", domain=MICROSOFT)
def nhwc_conv(call: OnnxCall) -> Value:
    """Conv of x (n, *s, c) with w (o, *k, c / group): the same convolution through views."""
    x, w = _first(call, call.input(0)), _first(call, call.input(1))
    x, settings = _settings(call, x, w, x.shape[2:])
    made = call.run(f"aten.conv{_dims(call, w)}d.default", x, w, call.optional(2), *settings)
    last: Value = call.run("aten.permute.default", made, [0, *range(2, made.rank), 1])
    return last


@onnx("ConvTranspose")
def conv_transpose(call: OnnxCall) -> Value:
    """x (n, c, *s), w (c, o / group, *k), bias (o)."""
    x, w = call.input(0), call.input(1)
    dims = _dims(call, w)
    stride, dilation = _ints(call, "strides", dims), _ints(call, "dilations", dims)
    pads, extra = _transpose_pads(call, w, stride, dilation)
    overload = "default" if dims == 1 else "input"
    settings = (stride, [max(low, 0) for low in pads[:dims]], extra, call.attr("group", 1), dilation)
    made: Value = call.run(f"aten.conv_transpose{dims}d.{overload}", x, w, call.optional(2), *settings)
    for dim in range(dims):
        trimmed = pads[dims + dim] - max(pads[dim], 0)
        if trimmed > 0:
            made = call.run("aten.slice.Tensor", made, 2 + dim, 0, made.shape[2 + dim] - trimmed)
    return made


def _transpose_pads(
    call: OnnxCall, w: Value, stride: Sequence[int], dilation: Sequence[int]
) -> tuple[list[int], list[int]]:
    dims = len(stride)
    extra = list(call.attr("output_padding", (0,) * dims))
    mode = call.attr("auto_pad", "NOTSET")
    if call.attr("output_shape") is not None:
        raise SourceError(f"{call.what} gives its output's shape instead of its padding, which graphlab does not read")
    if mode in ("NOTSET", "VALID"):
        return list(call.attr("pads", (0,) * 2 * dims)) if mode == "NOTSET" else [0] * 2 * dims, extra
    total = [d * (k - 1) + 1 + e - s for k, s, d, e in zip(w.shape[2:], stride, dilation, extra, strict=True)]
    small, large = [max(t, 0) // 2 for t in total], [max(t, 0) - max(t, 0) // 2 for t in total]
    return [*small, *large] if mode == "SAME_UPPER" else [*large, *small], extra


def _settings(call: OnnxCall, x: Value, w: Value, sizes: Sequence[Any]) -> tuple[Value, tuple[Any, ...]]:
    """(x, padded first where its two sides differ; stride, padding, dilation, groups)."""
    dims = _dims(call, w)
    if x.rank != dims + 2:
        raise SourceError(f"{call.what} has a kernel of {dims} dimensions and an input of rank {x.rank}")
    stride, dilation = _ints(call, "strides", dims), _ints(call, "dilations", dims)
    pads = explicit_pads(call, sizes, w.shape[2:], stride, dilation)
    if pads[:dims] != pads[dims:]:
        sides = [side for dim in reversed(range(dims)) for side in (pads[dim], pads[dims + dim])]
        x, pads = call.run("aten.constant_pad_nd.default", x, sides, 0.0), [0] * 2 * dims
    return x, (stride, pads[:dims], dilation, call.attr("group", 1))


def explicit_pads(
    call: OnnxCall, sizes: Sequence[Any], kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> list[Any]:
    """Pads in front of every dimension, then behind, `auto_pad` worked out."""
    mode, dims = call.attr("auto_pad", "NOTSET"), len(kernel)
    if mode == "NOTSET":
        return list(call.attr("pads", (0,) * 2 * dims))
    if mode == "VALID":
        return [0] * 2 * dims
    total = []
    for size, k, s, d in zip(sizes, kernel, stride, dilation, strict=True):
        needed = (-(-size // s) - 1) * s + (k - 1) * d + 1 - size
        total.append(needed if s == 1 or needed > 0 else 0)
    small, large = [t // 2 for t in total], [t - t // 2 for t in total]
    return [*small, *large] if mode == "SAME_UPPER" else [*large, *small]


def _dims(call: OnnxCall, w: Value) -> int:
    if not 3 <= w.rank <= 5:
        raise SourceError(f"{call.what} has a weight of rank {w.rank}, expected 3 to 5")
    return w.rank - 2


def _ints(call: OnnxCall, name: str, dims: int) -> list[int]:
    return list(call.attr(name, (1,) * dims))


def _first(call: OnnxCall, value: Value) -> Value:
    made: Value = call.run("aten.permute.default", value, [0, value.rank - 1, *range(1, value.rank - 1)])
    return made
