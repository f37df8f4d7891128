"""Quantised tensors of ONNX: conversion, products of integers, products with packed weights.

Bytes are those the tensors have in the file: one an int8 element, half a byte an int4 one.
"""

from __future__ import annotations

from typing import Any

from graphlab.graph import TensorSpec
from graphlab.ops.rule import Work, op
from graphlab.ops.sizes import first, product


@op("onnx.DequantizeLinear", category="elementwise", axes="same")
def dequantize(self: TensorSpec, scale: TensorSpec, zero: TensorSpec | None = None, *, out: TensorSpec) -> Work:
    """1 an element (scale); the zero point 1 more."""
    return Work(0, (1 + (zero is not None)) * out.numel)


@op("onnx.QuantizeLinear", category="elementwise", axes="same")
def quantize(self: TensorSpec, scale: TensorSpec, zero: TensorSpec | None = None, *, out: TensorSpec) -> Work:
    """4 an element: divide, round, two bounds; the zero point 1 more."""
    return Work(0, (4 + (zero is not None)) * out.numel)


@op("onnx.DynamicQuantizeLinear", category="elementwise", axes="same")
def dynamic_quantize(self: TensorSpec, *, out: Any) -> Work:
    """2 an element for the range, 5 as QuantizeLinear with a zero point."""
    return Work(0, 7 * first(out).numel)


@op("onnx.MatMulInteger", category="matmul", axes="matmul")
def matmul_integer(
    self: TensorSpec,
    other: TensorSpec,
    zero: TensorSpec | None = None,
    other_zero: TensorSpec | None = None,
    *,
    out: TensorSpec,
) -> Work:
    """As matmul; a zero point 1 pointwise an element of its matrix."""
    shifted = (self.numel if zero is not None else 0) + (other.numel if other_zero is not None else 0)
    return Work(2 * out.numel * self.shape[-1], shifted)


@op("onnx.QLinearMatMul", category="matmul", axes="matmul")
def qlinear_matmul(self: TensorSpec, other: TensorSpec, *rest: TensorSpec, out: TensorSpec) -> Work:
    """As matmul; 1 pointwise an element of each matrix (zero points), 5 an output element to quantise it."""
    return Work(2 * out.numel * self.shape[-1], self.numel + other.numel + 5 * out.numel)


@op("com.microsoft.MatMulNBits", category="linear", axes="*b k, n g s -> *b n")
def matmul_nbits(
    self: TensorSpec,
    weight: TensorSpec,
    scales: TensorSpec,
    zeros: TensorSpec | None = None,
    group_index: TensorSpec | None = None,
    bias: TensorSpec | None = None,
    *,
    out: TensorSpec,
) -> Work:
    """2 * rows * k * n whatever the bits; pointwise: 1 a weight (scale), 1 for zero points, the bias 1 an element."""
    entries = out.shape[-1] * self.shape[-1]
    return Work(
        2 * out.numel * self.shape[-1], (1 + (zeros is not None)) * entries + (out.numel if bias is not None else 0)
    )


@op("onnx.ConvInteger", category="convolution", axes="convolution")
def conv_integer(
    input: TensorSpec,
    weight: TensorSpec,
    bias: TensorSpec | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
    zero: TensorSpec | None = None,
    weight_zero: TensorSpec | None = None,
    *,
    out: TensorSpec,
) -> Work:
    """As convNd; a zero point 1 pointwise an element of what it shifts."""
    shifted = (input.numel if zero is not None else 0) + (weight.numel if weight_zero is not None else 0)
    return Work(2 * out.numel * product(weight.shape[1:]), shifted)


@op("onnx.QLinearConv", category="convolution", axes="convolution")
def qlinear_conv(
    input: TensorSpec,
    weight: TensorSpec,
    bias: TensorSpec | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
    *rest: TensorSpec,
    out: TensorSpec,
) -> Work:
    """As convNd; 1 pointwise an element of input and weight (zero points), 5 an output element to quantise it, the
    bias 1."""
    each = 5 + (bias is not None)
    return Work(2 * out.numel * product(weight.shape[1:]), input.numel + weight.numel + each * out.numel)
