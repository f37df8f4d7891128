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
    x, settings = settings_of(call, x, w, x.shape[2:])
    made: Value = call.run(f"aten.conv{_dims(call, w)}d.default", x, w, call.optional(2), *settings)
    return made


@onnx("FusedConv", domain=MICROSOFT)
def fused_conv(call: OnnxCall) -> Value:
    """Conv, plus `z` where given, through an activation, in one kernel."""
    x, w = call.input(0), call.input(1)
    x, settings = settings_of(call, x, w, x.shape[2:])
    like = call.tracer.shape_of(f"aten.conv{_dims(call, w)}d.default", x, w, None, *settings)
    extra = (call.optional(3), call.attr("activation", ""))
    return call.same("com.microsoft.FusedConv", like, x, w, call.optional(2), *settings, *extra)


@onnx("NhwcConv", domain=MICROSOFT)
def nhwc_conv(call: OnnxCall) -> Value:
    """Conv of x (n, *s, c) with w (o, *k, c / group): the same convolution through views."""
    x, w = _first(call, call.input(0)), _first(call, call.input(1))
    x, settings = settings_of(call, x, w, x.shape[2:])
    made = call.run(f"aten.conv{_dims(call, w)}d.default", x, w, call.optional(2), *settings)
    last: Value = call.run("aten.permute.default", made, [0, *range(2, made.rank), 1])
    return last


@onnx("ConvTranspose")
def conv_transpose(call: OnnxCall) -> Value:
    """x (n, c, *s), w (c, o / group, *k), bias (o)."""
    x, w = call.input(0), call.input(1)
    dims = _dims(call, w)
    stride, dilation = _ints(call, "strides", dims), _ints(call, "dilations", dims)
    extra = _ints(call, "output_padding", dims, 0)
    pads = _transpose_pads(call, x, w, stride, dilation, extra)
    overload = "default" if dims == 1 else "input"
    both = [min(low, high) for low, high in zip(pads[:dims], pads[dims:], strict=True)]
    settings = (stride, both, extra, call.attr("group", 1), dilation)
    made: Value = call.run(f"aten.conv_transpose{dims}d.{overload}", x, w, call.optional(2), *settings)
    for dim, padding in enumerate(both):
        low, high = pads[dim] - padding, pads[dims + dim] - padding
        if low or high:
            made = call.run("aten.slice.Tensor", made, 2 + dim, low, made.shape[2 + dim] - high)
    return made


def _transpose_pads(
    call: OnnxCall, x: Value, w: Value, stride: Sequence[int], dilation: Sequence[int], extra: Sequence[int]
) -> list[Any]:
    """Pads in front of every dimension, then behind, as `output_shape`, `auto_pad` or `pads` say."""
    dims, mode, shape = len(stride), call.attr("auto_pad", "NOTSET"), call.attr("output_shape")
    if shape is None and mode in ("NOTSET", "VALID"):
        return list(call.attr("pads", (0,) * 2 * dims)) if mode == "NOTSET" else [0] * 2 * dims
    sizes = x.shape[2:]
    wanted = [size * s for size, s in zip(sizes, stride, strict=True)] if shape is None else list(shape)[-dims:]
    total = []
    for n, k, s, d, e, size in zip(sizes, w.shape[2:], stride, dilation, extra, wanted, strict=True):
        needed = (n - 1) * s + d * (k - 1) + 1 + e - size
        if shape is not None and needed < 0:
            raise SourceError(f"{call.what} has an output_shape of {list(shape)}, more than its input makes")
        total.append(needed if needed > 0 else 0)
    small, large = [t // 2 for t in total], [t - t // 2 for t in total]
    return [*small, *large] if mode == "SAME_UPPER" else [*large, *small]


def settings_of(call: OnnxCall, x: Value, w: Value, sizes: Sequence[Any]) -> tuple[Value, tuple[Any, ...]]:
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


def _ints(call: OnnxCall, name: str, dims: int, default: int = 1) -> list[int]:
    return list(call.attr(name, (default,) * dims))


def _first(call: OnnxCall, value: Value) -> Value:
    made: Value = call.run("aten.permute.default", value, [0, value.rank - 1, *range(1, value.rank - 1)])
    return made
