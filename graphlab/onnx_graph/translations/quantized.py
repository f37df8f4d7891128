"""Quantised tensors: conversion, integer products, and products with packed weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from graphlab.onnx_graph.call import MICROSOFT, OnnxCall, Results, onnx
from graphlab.onnx_graph.dtypes import torch_dtype
from graphlab.onnx_graph.translations.convolution import settings_of
from graphlab.onnx_graph.value import Value


@onnx("DequantizeLinear")
@onnx("DequantizeLinear", domain=MICROSOFT)
def dequantize(call: OnnxCall) -> Value:
    """(x - zero point) * scale in the scale's type; x keeps the bytes it has in the file."""
    x, scale, zero = call.input(0), call.input(1), call.optional(2)
    return call.same("onnx.DequantizeLinear", Value(scale.dtype, x.shape), x, scale, zero)


@onnx("QuantizeLinear")
@onnx("QuantizeLinear", domain=MICROSOFT)
def quantize(call: OnnxCall) -> Value:
    """round(x / scale) + zero point, clamped, in the zero point's type."""
    x, scale, zero = call.input(0), call.input(1), call.optional(2)
    named = call.attr("output_dtype", 0)
    dtype = zero.dtype if zero is not None else torch_dtype(named, call.what) if named else torch.uint8
    return call.same("onnx.QuantizeLinear", Value(dtype, x.shape), x, scale, zero)


@onnx("DynamicQuantizeLinear")
def dynamic_quantize(call: OnnxCall) -> Results:
    """x as uint8, with the scale and zero point found from its range."""
    x = call.input(0)
    outs = [(x.shape, torch.uint8), ((), x.dtype), ((), torch.uint8)]
    made: Results = call.tracer.write("onnx.DynamicQuantizeLinear", (x,), outs)
    return made


@onnx("MatMulInteger")
def matmul_integer(call: OnnxCall) -> Value:
    """(a - zero) @ (b - zero) of bytes, in int32."""
    a, b = call.input(0), call.input(1)
    like = call.tracer.product_shape(a, b)
    return call.same("onnx.MatMulInteger", Value(torch.int32, like), a, b, call.optional(2), call.optional(3))


@onnx("QLinearMatMul")
def qlinear_matmul(call: OnnxCall) -> Value:
    """The product of quantised a and b, quantised again."""
    a, b, zero = call.input(0), call.input(3), call.input(7)
    rest = [value for i, value in enumerate(call.given()) if i not in (0, 3)]
    return call.same("onnx.QLinearMatMul", Value(zero.dtype, call.tracer.product_shape(a, b)), a, b, *rest)


@onnx("MatMulNBits", domain=MICROSOFT)
def matmul_nbits(call: OnnxCall) -> Value:
    """x (*b, k) @ w^T, w (n, k) in blocks of `bits` bits with a scale each."""
    x, n = call.input(0), call.attr("N", 0)
    like = Value(x.dtype, (*x.shape[:-1], n))
    given = [call.optional(i) for i in range(1, 6)]
    return call.same("com.microsoft.MatMulNBits", like, x, *given)


@onnx("ConvInteger")
def conv_integer(call: OnnxCall) -> Value:
    """(x - zero) convolved with (w - zero), of bytes, in int32."""
    return _convolved(call, "onnx.ConvInteger", (0, 1), torch.int32, [call.optional(2), call.optional(3)])


@onnx("QLinearConv")
def qlinear_conv(call: OnnxCall) -> Value:
    """The convolution of quantised x and w, and a bias, quantised again."""
    shifts = [call.input(i) for i in (1, 2, 4, 5, 6, 7)]
    return _convolved(call, "onnx.QLinearConv", (0, 3), call.input(7).dtype, shifts, call.optional(8))


def _convolved(
    call: OnnxCall,
    target: str,
    places: tuple[int, int],
    dtype: torch.dtype,
    rest: Sequence[Value | None],
    bias: Value | None = None,
) -> Value:
    """`target` of the input and the weight at `places`, with the shape that Conv has for them."""
    x, w = (call.input(index) for index in places)
    x, settings = settings_of(call, x, w, x.shape[2:])
    floats = [call.tracer.unwritten(value.shape, torch.float32) for value in (x, w)]  # torch convolves no bytes
    like = call.tracer.shape_of(f"aten.conv{w.rank - 2}d.default", *floats, None, *settings)
    return call.same(target, Value(dtype, like.shape), x, w, bias, *settings, *rest)
