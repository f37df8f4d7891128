"""Quantised tensors: conversion, integer products, and products with packed weights."""

from __future__ import annotations

import torch

from graphlab.onnx_graph.call import MICROSOFT, OnnxCall, Results, onnx
from graphlab.onnx_graph.dtypes import torch_dtype
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
