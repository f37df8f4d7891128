"""Tensors made of numbers: constants, fills, ranges, random numbers, identity matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from graphlab.errors import SourceError
from graphlab.onnx_graph.call import OnnxCall, onnx
from graphlab.onnx_graph.dtypes import torch_dtype
from graphlab.onnx_graph.folding import known_of
from graphlab.onnx_graph.value import Value, known_array

_META = torch.device("meta")


@onnx("Constant")
def constant(call: OnnxCall) -> Value:
    """A tensor in the node: known where it is small, a constant of the graph otherwise."""
    tensor = call.attr("value")
    if tensor is not None:
        known = known_of(tensor)
        dtype = torch_dtype(tensor.dtype, call.what)
        if known is not None:
            return call.tracer.known(known, dtype)
        return call.tracer.leaf("constant", call.tracer.place.name, "", tuple(tensor.shape), dtype)
    for name, dtype in (("value_int", torch.int64), ("value_float", torch.float32)):
        if (single := call.attr(name)) is not None:
            return call.tracer.known(known_array([single], (1,)).reshape(()), dtype)
    for name, dtype in (("value_ints", torch.int64), ("value_floats", torch.float32)):
        if (many := call.attr(name)) is not None:
            return call.tracer.numbers(list(many), dtype)
    raise SourceError(f"{call.what} holds no number", hint="strings and sparse tensors are not analysed")


@onnx("ConstantOfShape")
def constant_of_shape(call: OnnxCall) -> Value:
    """`value`, or 0, in the shape given."""
    tensor = call.attr("value")
    number: Any = 0.0 if tensor is None else np.asarray(tensor.numpy()).reshape(-1)[0].item()
    dtype = torch.float32 if tensor is None else torch_dtype(tensor.dtype, call.what)
    made: Value = call.run("aten.full.default", call.integers(0), number, dtype=dtype, device=_META)
    return made


@onnx("Range")
def range_(call: OnnxCall) -> Value:
    """start to limit by delta; the three are known."""
    numbers = [value.scalar() for value in call.given()]
    if any(number is None for number in numbers):
        raise SourceError(f"{call.what} runs to a number that is computed from data")
    start, limit, delta = numbers
    dtype = call.input(0).dtype
    made: Value = call.run("aten.arange.start_step", start, limit, delta, dtype=dtype, device=_META)
    return made


@onnx("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike")
def random(call: OnnxCall) -> Value:
    """Random numbers in the shape given, or in that of the input."""
    like = call.optional(0)
    sizes = list(call.attr("shape", ())) if like is None else list(like.shape)
    default = torch.float32 if like is None else like.dtype
    dtype = default if call.attr("dtype") is None else torch_dtype(call.attr("dtype"), call.what)
    name = "randn" if "Normal" in call.node.op_type else "rand"
    made: Value = call.run(f"aten.{name}.default", sizes, dtype=dtype, device=_META)
    return made


@onnx("EyeLike")
def eye_like(call: OnnxCall) -> Value:
    """Ones on the diagonal."""
    x = call.input(0)
    dtype = x.dtype if call.attr("dtype") is None else torch_dtype(call.attr("dtype"), call.what)
    made: Value = call.run("aten.eye.m", *x.shape, dtype=dtype, device=_META)
    return made
