"""Resize, pooling, grid sampling."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from graphlab.errors import SourceError
from graphlab.onnx_graph.call import OnnxCall, Results, onnx
from graphlab.onnx_graph.translations.convolution import explicit_pads
from graphlab.onnx_graph.value import Value

_NEAREST = {1: "upsample_nearest1d", 2: "upsample_nearest2d", 3: "upsample_nearest3d"}
_LINEAR = {1: "upsample_linear1d", 2: "upsample_bilinear2d", 3: "upsample_trilinear3d"}
_CUBIC = {2: "upsample_bicubic2d"}


@onnx("Resize", "Upsample")
def resize(call: OnnxCall) -> Value:
    """x (n, c, *s) to the sizes, or by the scales, of its spatial axes."""
    x = call.input(0)
    sizes = _sizes(call, x)
    if any(s is not None and str(s) != str(n) for s, n in zip(sizes[:2], x.shape[:2], strict=True)):
        raise SourceError(f"{call.what} resizes the batch or the channels")
    spatial = [n if s is None else s for s, n in zip(sizes[2:], x.shape[2:], strict=True)]
    if all(str(s) == str(n) for s, n in zip(spatial, x.shape[2:], strict=True)):
        return x
    table = {"nearest": _NEAREST, "linear": _LINEAR, "cubic": _CUBIC}[call.attr("mode", "nearest")]
    dims = len(spatial)
    if dims not in table:
        raise SourceError(f"{call.what} resizes {dims} axes by {call.attr('mode', 'nearest')}, which torch does not")
    corners = call.attr("coordinate_transformation_mode", "half_pixel") == "align_corners"
    extra = () if table is _NEAREST else (corners,)
    made: Value = call.run(f"aten.{table[dims]}.default", x, spatial, *extra)
    return made


def _sizes(call: OnnxCall, x: Value) -> list[Any]:
    """The size of every axis of the result; None for an axis that is not named."""
    axes = [int(axis) % x.rank for axis in call.attr("axes", range(x.rank))]
    found: list[Any] = [None] * x.rank
    if call.node.op_type == "Resize" and call.optional(3) is not None:
        given = call.integers(3) or []
    else:
        index = 2 if call.node.op_type == "Resize" and call.opset >= 11 else 1
        scales = call.integers(index, "scales") or []
        given = [_scaled(x.shape[axis], scale) for axis, scale in zip(axes, scales, strict=True)]
    for axis, size in zip(axes, given, strict=True):
        found[axis] = size
    return found


def _scaled(size: Any, scale: Any) -> Any:
    if isinstance(scale, (int, float)):
        exact = Fraction(scale).limit_denominator(1 << 12)
        return (size * exact.numerator) // exact.denominator
    return int(size * scale)


@onnx("MaxPool")
def max_pool(call: OnnxCall) -> Results:
    """Windows of x (n, c, *s); places where they are read."""
    x, kernel = call.input(0), list(call.attr("kernel_shape", ()))
    dims = len(kernel)
    stride, dilation = list(call.attr("strides", (1,) * dims)), list(call.attr("dilations", (1,) * dims))
    x, pads = _padded(call, x, kernel, stride, dilation, float("-inf"))
    name = f"max_pool{dims}d" + ("_with_indices" if call.wants(1) and dims > 1 else "")
    made = call.run(f"aten.{name}.default", x, kernel, stride, pads, dilation, bool(call.attr("ceil_mode", 0)))
    results: Results = made if isinstance(made, tuple) else [made]
    return results


@onnx("AveragePool")
def average_pool(call: OnnxCall) -> Value:
    """Means of windows of x (n, c, *s)."""
    x, kernel = call.input(0), list(call.attr("kernel_shape", ()))
    dims = len(kernel)
    stride = list(call.attr("strides", (1,) * dims))
    x, pads = _padded(call, x, kernel, stride, [1] * dims, 0.0)
    counted = bool(call.attr("count_include_pad", 0))
    args = (x, kernel, stride, pads, bool(call.attr("ceil_mode", 0)), counted)
    made: Value = call.run(f"aten.avg_pool{dims}d.default", *args)
    return made


def _padded(
    call: OnnxCall, x: Value, kernel: list[int], stride: list[int], dilation: list[int], fill: float
) -> tuple[Value, list[Any]]:
    """(x, padded first where torch's pooling cannot; what is left to pad on either side)."""
    dims = len(kernel)
    pads = explicit_pads(call, x.shape[2:], kernel, stride, dilation)
    even = pads[:dims] == pads[dims:]
    if even and all(isinstance(p, int) and 2 * p <= k for p, k in zip(pads, kernel, strict=False)):
        return x, pads[:dims]
    sides = [side for dim in reversed(range(dims)) for side in (pads[dim], pads[dims + dim])]
    return call.run("aten.constant_pad_nd.default", x, sides, fill), [0] * dims


@onnx("GlobalAveragePool")
def global_average_pool(call: OnnxCall) -> Value:
    """The mean over every spatial axis, which stay with size 1."""
    x = call.input(0)
    made: Value = call.run("aten.mean.dim", x, list(range(2, x.rank)), True)
    return made


@onnx("GlobalMaxPool")
def global_max_pool(call: OnnxCall) -> Value:
    """The greatest over every spatial axis, which stay with size 1."""
    x = call.input(0)
    made: Value = call.run("aten.amax.default", x, list(range(2, x.rank)), True)
    return made


@onnx("GridSample")
def grid_sample(call: OnnxCall) -> Value:
    """x (n, c, *s) at the points of grid (n, *t, dims)."""
    modes = {"linear": 0, "bilinear": 0, "nearest": 1, "cubic": 2, "bicubic": 2}
    borders = {"zeros": 0, "border": 1, "reflection": 2}
    mode, border = modes[call.attr("mode", "linear")], borders[call.attr("padding_mode", "zeros")]
    corners = bool(call.attr("align_corners", 0))
    made: Value = call.run("aten.grid_sampler.default", call.input(0), call.input(1), mode, border, corners)
    return made
