"""Layer, group, batch, instance and RMS norms, softmax, and vector norms.

All closed forms follow one convention: n - 1 additions of a sum of n count n, the division of a mean 1 a row,
and square root, reciprocal square root and exponential 1 each. A row is what is normalised together. So a
norm written out as mean, sub, pow, mean, add, rsqrt, mul counts the same as the fused one.
"""

from __future__ import annotations

import math
from typing import Any

from graphlab.graph import Dim, TensorSpec
from graphlab.ops.rule import Work, op
from graphlab.ops.sizes import aten, first, product, split_dims


def _affine(elements: Dim, weight: TensorSpec | None, bias: TensorSpec | None) -> Dim:
    return elements * ((weight is not None) + (bias is not None))


def _centred(elements: Dim, rows: Dim, weight: TensorSpec | None, bias: TensorSpec | None) -> Work:
    """An element: sum, subtract the mean, square, sum, scale; a row: two divisions, add eps, rsqrt."""
    return Work(0, 5 * elements + 4 * rows + _affine(elements, weight, bias))


@op("aten.layer_norm.default", category="normalization", axes="same")
def layer_norm(
    input: TensorSpec,
    normalized_shape: Any,
    weight: TensorSpec | None = None,
    bias: TensorSpec | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
    *,
    out: TensorSpec,
) -> Work:
    """5 an element (sum, subtract, square, sum, scale), 4 a row (two divisions, eps, rsqrt); weight, bias 1 each."""
    return _centred(out.numel, product(input.shape[: -len(normalized_shape)]), weight, bias)


@op("aten.native_layer_norm.default", category="normalization", axes="same")
def native_layer_norm(
    input: TensorSpec,
    normalized_shape: Any,
    weight: TensorSpec | None,
    bias: TensorSpec | None,
    eps: float,
    *,
    out: Any,
) -> Work:
    """As layer_norm."""
    return _centred(input.numel, product(input.shape[: -len(normalized_shape)]), weight, bias)


@op("aten.group_norm.default", category="normalization", axes="same")
def group_norm(
    input: TensorSpec,
    num_groups: int,
    weight: TensorSpec | None = None,
    bias: TensorSpec | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
    *,
    out: TensorSpec,
) -> Work:
    """As layer_norm with batch * groups rows: 5 an element, 4 a row; weight and bias 1 an element each."""
    return _centred(out.numel, input.shape[0] * num_groups, weight, bias)


@op("aten.native_group_norm.default", category="normalization", axes="same")
def native_group_norm(
    input: TensorSpec,
    weight: TensorSpec | None,
    bias: TensorSpec | None,
    N: Any,
    C: Any,
    HxW: Any,
    group: int,
    eps: float,
    *,
    out: Any,
) -> Work:
    """As group_norm."""
    return _centred(input.numel, N * group, weight, bias)


@op("aten.instance_norm.default", category="normalization", axes="same")
def instance_norm(
    input: TensorSpec,
    weight: TensorSpec | None,
    bias: TensorSpec | None,
    running_mean: TensorSpec | None,
    running_var: TensorSpec | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
    *,
    out: TensorSpec,
) -> Work:
    """As layer_norm with batch * channels rows; with running statistics as batch_norm."""
    if not use_input_stats:
        return _with_statistics(input, weight, bias)
    return _centred(out.numel, input.shape[0] * input.shape[1], weight, bias)


def _with_statistics(input: TensorSpec, weight: TensorSpec | None, bias: TensorSpec | None) -> Work:
    return Work(0, 2 * input.numel + 2 * input.shape[1] + _affine(input.numel, weight, bias))


def _batch_norm(input: TensorSpec, weight: TensorSpec | None, bias: TensorSpec | None, training: bool) -> Work:
    if training:
        return _centred(input.numel, input.shape[1], weight, bias)
    return _with_statistics(input, weight, bias)


@op("aten.batch_norm.default", category="normalization", axes="same")
def batch_norm(
    input: TensorSpec,
    weight: TensorSpec | None,
    bias: TensorSpec | None,
    running_mean: TensorSpec | None,
    running_var: TensorSpec | None,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
    *,
    out: TensorSpec,
) -> Work:
    """2 an element (subtract, scale), 2 a channel (eps, rsqrt); weight and bias 1 an element each. In training as
    layer_norm with a row a channel; updating the running statistics is not counted."""
    return _batch_norm(input, weight, bias, training)


@op("aten.native_batch_norm.default", category="normalization", axes="same")
def native_batch_norm(
    input: TensorSpec,
    weight: TensorSpec | None,
    bias: TensorSpec | None,
    running_mean: TensorSpec | None,
    running_var: TensorSpec | None,
    training: bool,
    momentum: float,
    eps: float,
    *,
    out: Any,
) -> Work:
    """As batch_norm."""
    return _batch_norm(input, weight, bias, training)


@op("aten._native_batch_norm_legit_no_training.default", category="normalization", axes="same")
def native_batch_norm_legit_no_training(
    input: TensorSpec,
    weight: TensorSpec | None,
    bias: TensorSpec | None,
    running_mean: TensorSpec,
    running_var: TensorSpec,
    momentum: float,
    eps: float,
    *,
    out: Any,
) -> Work:
    """As batch_norm outside training."""
    return _with_statistics(input, weight, bias)


@op("aten._native_batch_norm_legit.no_stats", category="normalization", axes="same")
def native_batch_norm_legit_no_stats(
    input: TensorSpec,
    weight: TensorSpec | None,
    bias: TensorSpec | None,
    training: bool,
    momentum: float,
    eps: float,
    *,
    out: Any,
) -> Work:
    """As batch_norm in training; instance_norm decomposes to it with batch * channels as the channels."""
    return _centred(input.numel, input.shape[1], weight, bias)


def _rms(input: TensorSpec, normalized_shape: Any, weight: TensorSpec | None) -> Work:
    rows = product(input.shape[: -len(normalized_shape)])
    return Work(0, 3 * input.numel + 3 * rows + _affine(input.numel, weight, None))


@op("aten.rms_norm.default", category="normalization", axes="same")
def rms_norm(
    input: TensorSpec,
    normalized_shape: Any,
    weight: TensorSpec | None = None,
    eps: float | None = None,
    *,
    out: TensorSpec,
) -> Work:
    """3 an element (square, sum, scale), 3 a row (division, eps, rsqrt); the weight 1 an element."""
    return _rms(input, normalized_shape, weight)


@op("aten._fused_rms_norm.default", category="normalization", axes="same")
def fused_rms_norm(
    input: TensorSpec, normalized_shape: Any, weight: TensorSpec | None, eps: float | None, *, out: Any
) -> Work:
    """As rms_norm."""
    return _rms(input, normalized_shape, weight)


@op(
    "aten.softmax.int",
    "aten.special_softmax.default",
    "aten._safe_softmax.default",
    category="normalization",
    axes="same",
)
def softmax(self: TensorSpec, dim: int, dtype: Any = None, *, out: TensorSpec) -> Work:
    """5 an element: max, subtract, exp, sum, divide."""
    return Work(0, 5 * out.numel)


@op("aten._softmax.default", category="normalization", axes="same")
def softmax_core(self: TensorSpec, dim: int, half_to_float: bool, *, out: TensorSpec) -> Work:
    """5 an element: max, subtract, exp, sum, divide."""
    return Work(0, 5 * out.numel)


@op("aten.log_softmax.int", category="normalization", axes="same")
def log_softmax(self: TensorSpec, dim: int, dtype: Any = None, *, out: TensorSpec) -> Work:
    """5 an element (max, subtract, exp, sum, subtract), 1 a row (log)."""
    return Work(0, 5 * out.numel + split_dims(out.shape, dim)[0])


@op("aten._log_softmax.default", category="normalization", axes="same")
def log_softmax_core(self: TensorSpec, dim: int, half_to_float: bool, *, out: TensorSpec) -> Work:
    """5 an element (max, subtract, exp, sum, subtract), 1 a row (log)."""
    return Work(0, 5 * out.numel + split_dims(out.shape, dim)[0])


def _vector_norm(elements: Dim, rows: Dim, order: Any) -> Work:
    order = 2 if order is None else float(order)
    if math.isinf(order):
        return Work(0, 2 * elements)
    return Work(0, 2 * elements + (0 if order in (0, 1) else rows))


@op("aten.linalg_vector_norm.default", category="reduction", axes="reduce")
def linalg_vector_norm(
    self: TensorSpec, ord: Any = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: TensorSpec
) -> Work:
    """2 an element (square or power or magnitude; sum or max), 1 a row for the root, which orders 0, 1 and inf lack."""
    return _vector_norm(self.numel, out.numel, ord)


@op("aten.norm.ScalarOpt_dim", category="reduction", axes="reduce")
def norm_dim(self: TensorSpec, p: Any, dim: Any, keepdim: bool = False, *, out: TensorSpec) -> Work:
    """As linalg_vector_norm."""
    return _vector_norm(self.numel, out.numel, p)


@op("aten.norm.ScalarOpt_dim_dtype", category="reduction", axes="reduce")
def norm_dim_dtype(self: TensorSpec, p: Any, dim: Any, keepdim: bool, *, dtype: Any, out: TensorSpec) -> Work:
    """As linalg_vector_norm."""
    return _vector_norm(self.numel, out.numel, p)


@op("aten.norm.Scalar", category="reduction", axes="reduce")
def norm(self: TensorSpec, p: Any = 2, *, out: TensorSpec) -> Work:
    """As linalg_vector_norm."""
    return _vector_norm(self.numel, out.numel, p)


@op(*aten("_weight_norm"), category="normalization", axes="same")
def weight_norm(v: TensorSpec, g: TensorSpec, dim: int = 0, *, out: TensorSpec) -> Work:
    """3 an element (square, sum, scale), 2 a row (root, g / norm)."""
    return Work(0, 3 * v.numel + 2 * g.numel)


@op(*aten("_weight_norm_interface"), category="normalization", axes="same")
def weight_norm_interface(v: TensorSpec, g: TensorSpec, dim: int = 0, *, out: Any) -> Work:
    """As _weight_norm."""
    return Work(0, 3 * first(out).numel + 2 * g.numel)


@op("aten.cosine_similarity.default", category="reduction", axes="unknown")
def cosine_similarity(x1: TensorSpec, x2: TensorSpec, dim: int = 1, eps: float = 1e-8, *, out: TensorSpec) -> Work:
    """6 an element (three products, three sums), 6 a row (two maxima with eps, two roots, product, division)."""
    return Work(0, 6 * x1.numel + 6 * out.numel)
