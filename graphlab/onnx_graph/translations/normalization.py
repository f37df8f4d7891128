"""Norms and softmax: the standard ones, and those ONNX Runtime fuses."""

from __future__ import annotations

import math
from typing import Any

from graphlab.errors import SourceError
from graphlab.onnx_graph.call import MICROSOFT, OnnxCall, Results, onnx
from graphlab.onnx_graph.value import Value


@onnx("LayerNormalization")
def layer_norm(call: OnnxCall) -> Results:
    """x normalised over the axes from `axis` on; mean and inverse deviation where they are read."""
    x, scale, bias = call.input(0), call.optional(1), call.optional(2)
    shape = x.shape[call.attr("axis", -1) % max(x.rank, 1) :]
    eps = call.attr("epsilon", 1e-5)
    fits = all(w is None or _sizes(w.shape) == _sizes(shape) for w in (scale, bias))
    if call.wants(1) or call.wants(2):
        made: Results = call.run("aten.native_layer_norm.default", x, list(shape), scale, bias, eps)
        return made
    if fits:
        return [call.run("aten.layer_norm.default", x, list(shape), scale, bias, eps)]
    return [_affine(call, call.run("aten.layer_norm.default", x, list(shape), None, None, eps), scale, bias)]


@onnx("RMSNormalization", "SimplifiedLayerNormalization")
@onnx("SimplifiedLayerNormalization", domain=MICROSOFT)
def rms_norm(call: OnnxCall) -> Results:
    """x over the root of its mean square over the axes from `axis` on."""
    x, scale = call.input(0), call.input(1)
    if call.wants(1):
        raise SourceError(f"{call.what} returns the inverse deviation too, which only training reads")
    shape = x.shape[call.attr("axis", -1) % max(x.rank, 1) :]
    eps = call.attr("epsilon", 1e-5)
    if _sizes(scale.shape) == _sizes(shape):
        return [call.run("aten.rms_norm.default", x, list(shape), scale, eps)]
    return [_affine(call, call.run("aten.rms_norm.default", x, list(shape), None, eps), scale, None)]


@onnx("GroupNormalization")
def group_norm(call: OnnxCall) -> Value:
    """x (n, c, *s) in `num_groups`; scale and bias a channel, a group before operator set 21."""
    x, scale, bias = call.input(0), call.input(1), call.input(2)
    groups, eps = call.attr("num_groups", 1), call.attr("epsilon", 1e-5)
    if call.opset >= 21:
        made: Value = call.run("aten.group_norm.default", x, groups, scale, bias, eps)
        return made
    rows = call.run("aten.group_norm.default", x, groups, None, None, eps)
    split = call.run("aten.reshape.default", rows, [x.shape[0], groups, -1])
    sides = [call.run("aten.reshape.default", w, [groups, 1]) for w in (scale, bias)]
    joined: Value = call.run("aten.reshape.default", _affine(call, split, *sides), list(x.shape))
    return joined


@onnx("InstanceNormalization")
def instance_norm(call: OnnxCall) -> Value:
    """x (n, c, *s) normalised over s; scale and bias (c)."""
    x, scale, bias = call.input(0), call.input(1), call.input(2)
    eps = call.attr("epsilon", 1e-5)
    made: Value = call.run("aten.instance_norm.default", x, scale, bias, None, None, True, 0.0, eps, False)
    return made


@onnx("BatchNormalization")
def batch_norm(call: OnnxCall) -> Results:
    """x (n, c, *s) with running statistics; training mode is refused."""
    if call.attr("training_mode", 0) or call.wants(1):
        raise SourceError(f"{call.what} is in training mode", hint="export the model in evaluation mode")
    x, scale, bias, mean, variance = (call.input(i) for i in range(5))
    eps = call.attr("epsilon", 1e-5)
    return [call.run("aten.batch_norm.default", x, scale, bias, mean, variance, False, 0.0, eps, False)]


@onnx("Softmax")
def softmax(call: OnnxCall) -> Value:
    """Over `axis`; before operator set 13 over all axes from it on."""
    return _softmax(call, "aten.softmax.int")


@onnx("LogSoftmax")
def log_softmax(call: OnnxCall) -> Value:
    """As Softmax."""
    return _softmax(call, "aten.log_softmax.int")


def _softmax(call: OnnxCall, target: str) -> Value:
    x = call.input(0)
    axis = call.attr("axis", -1 if call.opset >= 13 else 1)
    if call.opset >= 13 or axis % x.rank == x.rank - 1:
        made: Value = call.run(target, x, axis)
        return made
    lead = math.prod(x.shape[: axis % x.rank])
    flat = call.run(target, call.run("aten.reshape.default", x, [lead, -1]), -1)
    shaped: Value = call.run("aten.reshape.default", flat, list(x.shape))
    return shaped


def _affine(call: OnnxCall, x: Value, scale: Value | None, bias: Value | None) -> Value:
    if scale is not None:
        x = call.run("aten.mul.Tensor", x, scale)
    if bias is not None:
        x = call.run("aten.add.Tensor", x, bias)
    return x


def _sizes(shape: tuple[Any, ...]) -> tuple[str, ...]:
    """Sizes as text: comparing symbolic ones would guard."""
    return tuple(map(str, shape))


@onnx("SkipLayerNormalization", domain=MICROSOFT)
def skip_layer_norm(call: OnnxCall) -> Results:
    """Layer norm of input + skip (+ bias); the sum is the fourth result."""
    x, skip, gamma, beta, bias = (call.optional(i) for i in range(5))
    return _skip(call, "com.microsoft.SkipLayerNormalization", (x, skip, gamma, beta, bias))


@onnx("SkipSimplifiedLayerNormalization", domain=MICROSOFT)
def skip_rms_norm(call: OnnxCall) -> Results:
    """RMS norm of input + skip (+ bias); the sum is the fourth result."""
    x, skip, gamma, bias = (call.optional(i) for i in range(4))
    return _skip(call, "com.microsoft.SkipSimplifiedLayerNormalization", (x, skip, gamma, bias))


def _skip(call: OnnxCall, target: str, args: tuple[Value | None, ...]) -> Results:
    x = call.input(0)
    if call.wants(1) or call.wants(2):
        raise SourceError(f"{call.what} returns its statistics, which only training reads")
    if not call.wants(3):
        return [call.same(target, x, *args)]
    normed, total = call.tracer.write(target, args, [(x.shape, x.dtype)] * 2)
    return [normed, None, None, total]


@onnx("GroupNorm", domain=MICROSOFT)
def nhwc_group_norm(call: OnnxCall) -> Value:
    """x (n, *s, c), or (n, c, *s) with channels_last 0, in `groups`, through silu where activation is 1."""
    x, gamma, beta = call.input(0), call.input(1), call.input(2)
    groups, silu = call.attr("groups", 1), bool(call.attr("activation", 0))
    return call.same("com.microsoft.GroupNorm", x, x, gamma, beta, groups, silu)


@onnx("SkipGroupNorm", domain=MICROSOFT)
def skip_group_norm(call: OnnxCall) -> Results:
    """GroupNorm of x + skip (+ bias); the sum is the second result."""
    x, gamma, beta, skip, bias = (call.optional(i) for i in range(5))
    args = (x, gamma, beta, call.attr("groups", 1), bool(call.attr("activation", 0)), skip, bias)
    like = call.input(0)
    if not call.wants(1):
        return [call.same("com.microsoft.SkipGroupNorm", like, *args)]
    made: Results = call.tracer.write("com.microsoft.SkipGroupNorm", args, [(like.shape, like.dtype)] * 2)
    return made
