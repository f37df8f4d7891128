"""Arithmetic, comparison, selection and activations, with NumPy's broadcasting. Known scalars stay numbers."""

from __future__ import annotations

from functools import reduce
from typing import Any

from graphlab.errors import SourceError
from graphlab.onnx_graph.call import OnnxCall, onnx
from graphlab.onnx_graph.dtypes import torch_dtype
from graphlab.onnx_graph.value import Value

_UNARY = {
    "Abs": "abs", "Acos": "acos", "Acosh": "acosh", "Asin": "asin", "Asinh": "asinh", "Atan": "atan",
    "Atanh": "atanh", "BitwiseNot": "bitwise_not", "Ceil": "ceil", "Cos": "cos", "Cosh": "cosh", "Erf": "erf",
    "Exp": "exp", "Floor": "floor", "HardSwish": "hardswish", "IsNaN": "isnan", "Log": "log", "Mish": "mish",
    "Neg": "neg", "Not": "logical_not", "Reciprocal": "reciprocal", "Relu": "relu", "Round": "round",
    "Sigmoid": "sigmoid", "Sign": "sign", "Sin": "sin", "Sinh": "sinh", "Softplus": "softplus", "Sqrt": "sqrt",
    "Tan": "tan", "Tanh": "tanh",
}  # fmt: skip
_COMMUTATIVE = {"Add": "add", "Mul": "mul"}
_BINARY = {"Sub": "sub", "Div": "div", "Pow": "pow", "Mod": "remainder"}
_COMPARISON = {
    "Equal": ("eq", "eq"), "Less": ("lt", "gt"), "LessOrEqual": ("le", "ge"), "Greater": ("gt", "lt"),
    "GreaterOrEqual": ("ge", "le"),
}  # fmt: skip
_LOGICAL = {
    "And": "logical_and", "Or": "logical_or", "Xor": "logical_xor",
}  # fmt: skip
_BITWISE = {"BitwiseAnd": "bitwise_and", "BitwiseOr": "bitwise_or", "BitwiseXor": "bitwise_xor"}


@onnx(*_UNARY)
def unary(call: OnnxCall) -> Value:
    """One number to one number."""
    made: Value = call.run(f"aten.{_UNARY[call.node.op_type]}.default", call.input(0))
    return made


@onnx(*_COMMUTATIVE)
def commutative(call: OnnxCall) -> Value:
    """Sum or product."""
    name, first, second = _COMMUTATIVE[call.node.op_type], call.input(0), call.input(1)
    if number(first, second) is not None:
        first, second = second, first
    made: Value = call.run(f"aten.{name}.Tensor", first, number(second, first, second))
    return made


@onnx(*_BINARY)
def binary(call: OnnxCall) -> Value:
    """Difference, quotient, power, remainder; quotients of integers are rounded towards zero."""
    kind, first, second = call.node.op_type, call.input(0), call.input(1)
    other = number(second, first, second)
    if kind == "Pow":
        overload = "Tensor_Tensor" if isinstance(other, Value) else "Tensor_Scalar"
        powered: Value = call.run(f"aten.pow.{overload}", first, other)
        return powered
    if kind == "Div" and not first.dtype.is_floating_point and not first.dtype.is_complex:
        overload = "Tensor_mode" if isinstance(other, Value) else "Scalar_mode"
        rounded: Value = call.run(f"aten.div.{overload}", first, other, rounding_mode="trunc")
        return rounded
    if kind == "Sub" and (lead := number(first, second)) is not None:
        reversed_: Value = call.run("aten.rsub.Scalar", second, lead)
        return reversed_
    name = "fmod" if kind == "Mod" and call.attr("fmod", 0) else _BINARY[kind]
    overload = "Scalar" if kind == "Mod" and not isinstance(other, Value) else "Tensor"
    made: Value = call.run(f"aten.{name}.{overload}", first, other)
    return made


@onnx(*_COMPARISON)
def comparison(call: OnnxCall) -> Value:
    """A comparison; with a known scalar on the left it is turned round."""
    straight, turned = _COMPARISON[call.node.op_type]
    first, second = call.input(0), call.input(1)
    if number(first, second) is not None:
        first, second, straight = second, first, turned
    other = number(second, first, second)
    made: Value = call.run(f"aten.{straight}.{'Tensor' if isinstance(other, Value) else 'Scalar'}", first, other)
    return made


@onnx(*_LOGICAL)
def logical(call: OnnxCall) -> Value:
    """A logical connective of truth values."""
    made: Value = call.run(f"aten.{_LOGICAL[call.node.op_type]}.default", call.input(0), call.input(1))
    return made


@onnx(*_BITWISE)
def bitwise(call: OnnxCall) -> Value:
    """A connective of the bits of integers."""
    made: Value = call.run(f"aten.{_BITWISE[call.node.op_type]}.Tensor", call.input(0), call.input(1))
    return made


@onnx("Sum", "Max", "Min")
def several(call: OnnxCall) -> Value:
    """The sum, greatest or least of any number of tensors."""
    target = {"Sum": "aten.add.Tensor", "Max": "aten.maximum.default", "Min": "aten.minimum.default"}
    return reduce(lambda a, b: call.run(target[call.node.op_type], a, b), call.given())


@onnx("Mean")
def mean(call: OnnxCall) -> Value:
    """The mean of any number of tensors."""
    total = reduce(lambda a, b: call.run("aten.add.Tensor", a, b), call.given())
    made: Value = call.run("aten.div.Tensor", total, len(call.given()))
    return made


@onnx("Where")
def where(call: OnnxCall) -> Value:
    """A select."""
    made: Value = call.run("aten.where.self", call.input(0), call.input(1), call.input(2))
    return made


@onnx("Clip")
def clip(call: OnnxCall) -> Value:
    """Bounds from inputs, or from attributes before operator set 11."""
    low, high = (_bound(call, index, name) for index, name in ((1, "min"), (2, "max")))
    if low is None and high is None:
        return call.input(0)
    overload = "Tensor" if isinstance(low, Value) or isinstance(high, Value) else "default"
    if overload == "Tensor":
        low, high = (_as_value(call, bound) for bound in (low, high))
    made: Value = call.run(f"aten.clamp.{overload}", call.input(0), low, high)
    return made


def _bound(call: OnnxCall, index: int, name: str) -> Any:
    value = call.optional(index)
    if value is None:
        return call.attr(name)
    scalar = value.scalar()
    return value if scalar is None else scalar


def _as_value(call: OnnxCall, bound: Any) -> Value | None:
    if bound is None or isinstance(bound, Value):
        return bound
    like = call.input(0)
    made: Value = call.run("aten.full.default", [], bound, dtype=like.dtype, device="meta")
    return made


@onnx("Cast")
def cast(call: OnnxCall) -> Value:
    """To the type `to`; a cast to the type it has is nothing."""
    return to_dtype(call, call.input(0), torch_dtype(call.attr("to"), call.what))


@onnx("CastLike")
def cast_like(call: OnnxCall) -> Value:
    """To the type of the second input."""
    return to_dtype(call, call.input(0), call.input(1).dtype)


def to_dtype(call: OnnxCall, value: Value, dtype: Any) -> Value:
    """`value` as `dtype`; itself where it is that already."""
    if value.dtype == dtype:
        return value
    made: Value = call.run("aten.to.dtype", value, dtype)
    return made


@onnx("Gelu")
def gelu(call: OnnxCall) -> Value:
    """By erf, or by tanh where `approximate` says so."""
    made: Value = call.run("aten.gelu.default", call.input(0), approximate=call.attr("approximate", "none"))
    return made


@onnx("Swish")
def swish(call: OnnxCall) -> Value:
    """x * sigmoid(alpha * x)."""
    alpha, x = call.attr("alpha", 1.0), call.input(0)
    if alpha == 1:
        made: Value = call.run("aten.silu.default", x)
        return made
    gate = call.run("aten.sigmoid.default", call.run("aten.mul.Tensor", x, alpha))
    gated: Value = call.run("aten.mul.Tensor", x, gate)
    return gated


@onnx("LeakyRelu")
def leaky_relu(call: OnnxCall) -> Value:
    """max(x, alpha * x)."""
    made: Value = call.run("aten.leaky_relu.default", call.input(0), call.attr("alpha", 0.01))
    return made


@onnx("PRelu")
def prelu(call: OnnxCall) -> Value:
    """max(x, 0) + slope * min(x, 0); the slope broadcasts to x."""
    x, slope = call.input(0), call.input(1)
    return call.same("onnx.PRelu", x, x, slope)


@onnx("Elu")
def elu(call: OnnxCall) -> Value:
    """x above 0, alpha * (exp(x) - 1) below."""
    made: Value = call.run("aten.elu.default", call.input(0), call.attr("alpha", 1.0))
    return made


@onnx("Selu")
def selu(call: OnnxCall) -> Value:
    """Scaled elu."""
    made: Value = call.run("aten.selu.default", call.input(0))
    return made


@onnx("Celu")
def celu(call: OnnxCall) -> Value:
    """max(0, x) + min(0, alpha * (exp(x / alpha) - 1))."""
    made: Value = call.run("aten.celu.default", call.input(0), call.attr("alpha", 1.0))
    return made


@onnx("HardSigmoid")
def hard_sigmoid(call: OnnxCall) -> Value:
    """max(0, min(1, alpha * x + beta)): torch's has alpha 1 / 6 and beta 0.5, others are spelled out."""
    x, alpha, beta = call.input(0), call.attr("alpha", 0.2), call.attr("beta", 0.5)
    if abs(alpha - 1 / 6) < 1e-6 and beta == 0.5:
        made: Value = call.run("aten.hardsigmoid.default", x)
        return made
    line = call.run("aten.add.Tensor", call.run("aten.mul.Tensor", x, alpha), beta)
    clamped: Value = call.run("aten.clamp.default", line, 0.0, 1.0)
    return clamped


@onnx("IsInf")
def is_inf(call: OnnxCall) -> Value:
    """Of either sign, or of one."""
    signs = (call.attr("detect_negative", 1), call.attr("detect_positive", 1))
    names = {(1, 1): "isinf", (0, 1): "isposinf", (1, 0): "isneginf"}
    if signs not in names:
        raise SourceError(f"{call.what} detects infinities of no sign")
    made: Value = call.run(f"aten.{names[signs]}.default", call.input(0))
    return made


def number(value: Value, other: Value, default: Any = None) -> Any:
    """The number of a known scalar that `other` broadcasts over; `default` for anything else."""
    scalar = value.scalar()
    if scalar is None or value.weight or value.rank > other.rank or other.known is not None:
        return default
    return scalar
