"""Activation functions, each counted from its formula; exp, tanh, erf, log, max and a comparison are 1 FLOP.

The formulas are those of torch.nn.functional's documentation. Only `prelu` and `elu` have parameters that
change the count; a parameter at its neutral value is free.
"""

from __future__ import annotations

from typing import Any

from graphlab.graph import TensorSpec
from graphlab.ops.rule import Work, op
from graphlab.ops.sizes import aten, first


@op(*aten("relu relu_"), category="activation", axes="same")
def relu(self: TensorSpec, *, out: TensorSpec) -> Work:
    """1 an element: max(x, 0)."""
    return Work(0, out.numel)


@op(*aten("relu6 relu6_"), category="activation", axes="same")
def relu6(self: TensorSpec, *, out: TensorSpec) -> Work:
    """2 an element: min(max(x, 0), 6)."""
    return Work(0, 2 * out.numel)


@op(*aten("sigmoid sigmoid_ special_expit"), category="activation", axes="same")
def sigmoid(self: TensorSpec, *, out: TensorSpec) -> Work:
    """4 an element: 1 / (1 + exp(-x))."""
    return Work(0, 4 * out.numel)


@op(*aten("log_sigmoid"), category="activation", axes="same")
def log_sigmoid(self: TensorSpec, *, out: TensorSpec) -> Work:
    """5 an element: log(1 / (1 + exp(-x)))."""
    return Work(0, 5 * out.numel)


@op(*aten("log_sigmoid_forward"), category="activation", axes="same")
def log_sigmoid_forward(self: TensorSpec, *, out: Any) -> Work:
    """5 an element: log(1 / (1 + exp(-x)))."""
    return Work(0, 5 * first(out).numel)


@op(*aten("tanh tanh_"), category="activation", axes="same")
def tanh(self: TensorSpec, *, out: TensorSpec) -> Work:
    """1 an element."""
    return Work(0, out.numel)


@op(*aten("silu silu_"), category="activation", axes="same")
def silu(self: TensorSpec, *, out: TensorSpec) -> Work:
    """5 an element: x * sigmoid(x)."""
    return Work(0, 5 * out.numel)


@op(*aten("mish mish_"), category="activation", axes="same")
def mish(self: TensorSpec, *, out: TensorSpec) -> Work:
    """5 an element: x * tanh(log(1 + exp(x)))."""
    return Work(0, 5 * out.numel)


@op(*aten("gelu gelu_"), category="activation", axes="same")
def gelu(self: TensorSpec, *, approximate: str = "none", out: TensorSpec) -> Work:
    """5 an element: 0.5 * x * (1 + erf(x * c)); approximate "tanh" 9: 0.5 * x * (1 + tanh(c * (x + d * x * x * x)))."""
    return Work(0, (9 if approximate == "tanh" else 5) * out.numel)


@op(*aten("hardsigmoid hardsigmoid_"), category="activation", axes="same")
def hardsigmoid(self: TensorSpec, *, out: TensorSpec) -> Work:
    """4 an element: min(max(x + 3, 0), 6) / 6."""
    return Work(0, 4 * out.numel)


@op(*aten("hardswish hardswish_"), category="activation", axes="same")
def hardswish(self: TensorSpec, *, out: TensorSpec) -> Work:
    """5 an element: x * min(max(x + 3, 0), 6) / 6."""
    return Work(0, 5 * out.numel)


@op(*aten("hardtanh hardtanh_"), category="activation", axes="same")
def hardtanh(self: TensorSpec, min_val: Any = -1, max_val: Any = 1, *, out: TensorSpec) -> Work:
    """2 an element: min(max(x, low), high)."""
    return Work(0, 2 * out.numel)


@op(*aten("elu elu_"), category="activation", axes="same")
def elu(self: TensorSpec, alpha: Any = 1, scale: Any = 1, input_scale: Any = 1, *, out: TensorSpec) -> Work:
    """5 an element: max(0, x) + min(0, exp(x) - 1); alpha, scale and input_scale 1 each when they are not 1."""
    return Work(0, (5 + sum(factor != 1 for factor in (alpha, scale, input_scale))) * out.numel)


@op(*aten("selu selu_"), category="activation", axes="same")
def selu(self: TensorSpec, *, out: TensorSpec) -> Work:
    """7 an element: scale * (max(0, x) + min(0, alpha * (exp(x) - 1)))."""
    return Work(0, 7 * out.numel)


@op(*aten("celu celu_"), category="activation", axes="same")
def celu(self: TensorSpec, alpha: Any = 1.0, *, out: TensorSpec) -> Work:
    """5 an element: max(0, x) + min(0, alpha * (exp(x / alpha) - 1)); 7 when alpha is not 1."""
    return Work(0, (5 if alpha == 1 else 7) * out.numel)


@op(*aten("leaky_relu leaky_relu_"), category="activation", axes="same")
def leaky_relu(self: TensorSpec, negative_slope: Any = 0.01, *, out: TensorSpec) -> Work:
    """2 an element: max(x, slope * x)."""
    return Work(0, 2 * out.numel)


@op(*aten("prelu _prelu_kernel"), category="activation", axes="same")
def prelu(self: TensorSpec, weight: TensorSpec, *, out: TensorSpec) -> Work:
    """4 an element: max(0, x) + weight * min(0, x)."""
    return Work(0, 4 * out.numel)


@op("aten.softplus.default", category="activation", axes="same")
def softplus(self: TensorSpec, beta: Any = 1, threshold: Any = 20, *, out: TensorSpec) -> Work:
    """3 an element: log(1 + exp(x)); 5 when beta is not 1: log(1 + exp(beta * x)) / beta."""
    return Work(0, (3 if beta == 1 else 5) * out.numel)


@op("aten.glu.default", category="activation", axes="same")
def glu(self: TensorSpec, dim: int = -1, *, out: TensorSpec) -> Work:
    """5 an output element: a * sigmoid(b)."""
    return Work(0, 5 * out.numel)


@op(*aten("threshold threshold_"), category="activation", axes="same")
def threshold(self: TensorSpec, threshold: Any, value: Any, *, out: TensorSpec) -> Work:
    """2 an element: compare, select."""
    return Work(0, 2 * out.numel)


@op(*aten("softshrink hardshrink"), category="activation", axes="same")
def shrink(self: TensorSpec, lambd: Any = 0.5, *, out: TensorSpec) -> Work:
    """4 an element: two comparisons, two selects; softshrink's subtraction and addition stand for its selects."""
    return Work(0, 4 * out.numel)
