"""Arithmetic on known numbers: what exporters compute shapes, axes and scales with, at read time.

Numbers are Python's, or torch's symbolic ones, in object arrays; NumPy does the indexing and broadcasting.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import torch

from graphlab.errors import SourceError
from graphlab.onnx_graph.call import OnnxCall
from graphlab.onnx_graph.dtypes import torch_dtype
from graphlab.onnx_graph.value import KNOWN_LIMIT, Value, known_array

Array = np.ndarray[Any, Any]
_sym_float: Any = torch.sym_float  # torch gives these four no types
_sym_int: Any = torch.sym_int
_sym_min: Any = torch.sym_min
_sym_max: Any = torch.sym_max
_SYMBOLIC = (torch.SymInt, torch.SymFloat, torch.SymBool)


def fold(call: OnnxCall) -> Value | list[Value] | None:
    """The result of `call` where all it reads is known; None where it is not, or too large to follow."""
    body = _FOLDS.get(call.node.op_type)
    given = call.given()
    if body is None or call.node.domain or any(v.known is None or v.weight for v in given):
        return None
    made = body(call, *(None if value is None else value.known for value in call.inputs))
    if made is None:
        return None
    if isinstance(made, list):
        return [call.tracer.known(array, given[0].dtype) for array in made]
    array = made if isinstance(made, np.ndarray) else np.array(made, dtype=object)
    if any(isinstance(item, int) and abs(item) >= 2**63 for item in array.reshape(-1)):
        raise SourceError(f"{call.what} computes a size that no integer of ONNX holds", hint="the file is damaged")
    return call.tracer.known(array, _dtype(call, given)) if array.size <= KNOWN_LIMIT else None


def _dtype(call: OnnxCall, given: list[Value]) -> torch.dtype:
    kind = call.node.op_type
    if kind == "Cast":
        return torch_dtype(call.attr("to"), call.what)
    if kind in ("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "And", "Or", "Not"):
        return torch.bool
    if kind == "ConstantOfShape":
        return _fill(call)[1]
    if kind in ("CastLike", "Where"):
        return given[1].dtype
    return given[0].dtype


def _fill(call: OnnxCall) -> tuple[Any, torch.dtype]:
    tensor = call.attr("value")
    if tensor is None:
        return 0.0, torch.float32
    return tensor.numpy().reshape(-1)[0].item(), torch_dtype(tensor.dtype, call.what)


def _each(function: Callable[..., Any]) -> Callable[..., Any]:
    ufunc = np.frompyfunc(function, function.__code__.co_argcount, 1)

    def body(call: OnnxCall, *arrays: Array) -> Array:
        with np.errstate(all="ignore"):  # of a function that raised inside, and was caught there
            return np.asarray(ufunc(*arrays), dtype=object)

    return body


def _real_or_none(function: Callable[..., Any], *numbers: Any) -> Any:
    """A real number of `numbers`; None where Python has none and IEEE infinities, as of the logarithm of 0."""
    try:
        made = function(*numbers)
    except (ArithmeticError, ValueError):
        return None
    return None if isinstance(made, complex) else made


def _divide(a: Any, b: Any) -> Any:
    """ONNX cuts quotients of integers off towards zero, Python rounds them down."""
    if not _whole(a) or not _whole(b):
        return a / b
    over, by = (a if bool(a >= 0) else -a), (b if bool(b >= 0) else -b)
    return over // by if bool(a >= 0) == bool(b >= 0) else -(over // by)


def _power(a: Any, b: Any) -> Any:
    return _real_or_none(operator.pow, a, b) if isinstance(b, (int, float)) and abs(b) <= 64 else None


def _whole(value: Any) -> bool:
    return isinstance(value, (int, torch.SymInt))


def _cast(call: OnnxCall, array: Array, like: Array | None = None) -> Array:
    to = call.optional(1)
    dtype = torch_dtype(call.attr("to"), call.what) if to is None else to.dtype
    if dtype is torch.bool:
        return np.asarray(np.frompyfunc(bool, 1, 1)(array), dtype=object)
    if dtype.is_floating_point:
        return np.asarray(np.frompyfunc(_float, 1, 1)(array), dtype=object)
    return np.asarray(np.frompyfunc(_integer, 1, 1)(array), dtype=object)


def _float(value: Any) -> Any:
    return _sym_float(value) if isinstance(value, torch.SymInt) else value if _real(value) else float(value)


def _real(value: Any) -> bool:
    return isinstance(value, (float, torch.SymFloat))


def _integer(value: Any) -> Any:
    return (
        _sym_int(value) if isinstance(value, torch.SymFloat) else value if _size(value) else _real_or_none(int, value)
    )


def _size(value: Any) -> bool:
    return isinstance(value, torch.SymInt)


def _gather(call: OnnxCall, data: Array, indices: Array) -> Array:
    return np.asarray(np.take(data, indices.astype(np.int64), axis=call.attr("axis", 0)), dtype=object)


def _concat(call: OnnxCall, *arrays: Array) -> Array:
    return np.concatenate(arrays, axis=call.attr("axis", 0))


def _unsqueeze(call: OnnxCall, data: Array, axes: Array | None = None) -> Array:
    chosen = [int(axis) for axis in call.integers(1, "axes") or []]
    return np.expand_dims(data, tuple(chosen))


def _squeeze(call: OnnxCall, data: Array, axes: Array | None = None) -> Array:
    chosen = call.integers(1, "axes")
    return np.squeeze(data, axis=None if chosen is None else tuple(int(axis) for axis in chosen))


def _slice(call: OnnxCall, data: Array, *rest: Array | None) -> Array | None:
    starts, ends = call.integers(1, "starts"), call.integers(2, "ends")
    assert starts is not None
    assert ends is not None
    axes, steps = call.integers(3, "axes") or range(len(starts)), call.integers(4) or [1] * len(starts)
    index = [slice(None)] * data.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        if any(isinstance(number, _SYMBOLIC) for number in (axis, start, end, step)):
            return None
        stop = None if step < 0 and end < -data.shape[axis] else end
        index[axis] = slice(start, stop, step)
    return data[tuple(index)]


def _reshape(call: OnnxCall, data: Array, shape: Array) -> Array | None:
    sizes = list(shape.reshape(-1))
    if any(isinstance(size, _SYMBOLIC) for size in sizes):
        return None
    return data.reshape([data.shape[i] if s == 0 and not call.attr("allowzero", 0) else s for i, s in enumerate(sizes)])


def _expand(call: OnnxCall, data: Array, shape: Array) -> Array | None:
    sizes = list(shape.reshape(-1))
    if any(isinstance(size, _SYMBOLIC) for size in sizes) or math.prod(sizes) > KNOWN_LIMIT:
        return None
    return np.broadcast_to(data, np.broadcast_shapes(data.shape, tuple(sizes)))


def _constant_of_shape(call: OnnxCall, shape: Array) -> Array | None:
    sizes = list(shape.reshape(-1))
    if any(isinstance(size, _SYMBOLIC) for size in sizes) or math.prod(sizes) > KNOWN_LIMIT:
        return None
    return np.full([int(size) for size in sizes], _fill(call)[0], dtype=object)


def _range(call: OnnxCall, start: Array, limit: Array, delta: Array) -> Array | None:
    low, high, step = (array.reshape(-1)[0] for array in (start, limit, delta))
    if any(isinstance(number, _SYMBOLIC) for number in (low, high, step)) or step == 0:
        return None
    count = max(math.ceil((high - low) / step), 0)
    return known_array([low + step * i for i in range(count)]) if count <= 64 else None


def _split(call: OnnxCall, data: Array, sizes: Array | None = None) -> list[Array] | None:
    axis, given = call.attr("axis", 0), call.integers(1, "split")
    if given is None:
        each = -(-data.shape[axis] // len(call.node.outputs))
        return np.split(data, range(each, data.shape[axis], each), axis=axis)
    return np.split(data, np.cumsum([int(size) for size in given])[:-1], axis=axis)


def _reduced(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def body(call: OnnxCall, data: Array, axes: Array | None = None) -> Array:
        chosen = call.integers(1, "axes")
        every = not chosen and not call.attr("noop_with_empty_axes", 0)
        axis = tuple(range(data.ndim)) if every else tuple(int(item) for item in chosen or ())
        ufunc = np.frompyfunc(function, 2, 1)
        result = data
        for dim in sorted((item % data.ndim for item in axis), reverse=True):
            result = np.expand_dims(np.asarray(ufunc.reduce(result, axis=dim), dtype=object), dim)
        return result if call.attr("keepdims", 1) else np.squeeze(result, axis=tuple(item % data.ndim for item in axis))

    return body


def _where(call: OnnxCall, condition: Array, first: Array, second: Array) -> Array:
    return np.asarray(np.frompyfunc(lambda c, a, b: a if c else b, 3, 1)(condition, first, second), dtype=object)


def _scatter_nd(call: OnnxCall, data: Array, indices: Array, updates: Array) -> Array | None:
    if call.attr("reduction", "none") != "none" or indices.shape[-1] != data.ndim:
        return None
    made = data.copy()
    places = indices.reshape(-1, data.ndim).astype(np.int64)
    for place, value in zip(places, updates.reshape(-1), strict=True):
        made[tuple(place)] = value
    return made


def _tile(call: OnnxCall, data: Array, repeats: Array) -> Array | None:
    times = [int(item) for item in repeats.reshape(-1)]
    return np.tile(data, times) if math.prod(times) * data.size <= KNOWN_LIMIT else None


def _unary(function: Callable[[Any], Any]) -> Callable[..., Any]:
    return _each(lambda a: None if isinstance(a, _SYMBOLIC) else _real_or_none(function, a))


def _any_missing(body: Callable[..., Any]) -> Callable[..., Any]:
    """`body`, or nothing known where it could not do one of the elements."""

    def checked(call: OnnxCall, *arrays: Array) -> Array | None:
        made = body(call, *arrays)
        return None if any(item is None for item in made.reshape(-1)) else made

    return checked


_FOLDS: dict[str, Callable[..., Any]] = {
    "Add": _each(lambda a, b: a + b),
    "Sub": _each(lambda a, b: a - b),
    "Mul": _each(lambda a, b: a * b),
    "Div": _any_missing(_each(lambda a, b: _real_or_none(_divide, a, b))),
    "Mod": _each(lambda a, b: a % b),
    "Neg": _each(lambda a: -a),
    "Pow": _any_missing(_each(_power)),
    "Abs": _any_missing(_unary(abs)),
    "Sqrt": _any_missing(_unary(math.sqrt)),
    "Reciprocal": _any_missing(_unary(lambda a: 1 / a)),
    "Floor": _any_missing(_unary(lambda a: float(math.floor(a)))),
    "Ceil": _any_missing(_unary(lambda a: float(math.ceil(a)))),
    "Exp": _any_missing(_unary(math.exp)),
    "Log": _any_missing(_unary(math.log)),
    "Sin": _any_missing(_unary(math.sin)),
    "Cos": _any_missing(_unary(math.cos)),
    "Min": lambda call, *arrays: reduce(lambda a, b: _each(lambda x, y: _sym_min(x, y))(call, a, b), arrays),
    "Max": lambda call, *arrays: reduce(lambda a, b: _each(lambda x, y: _sym_max(x, y))(call, a, b), arrays),
    "Equal": _each(lambda a, b: bool(a == b)),
    "Less": _each(lambda a, b: bool(a < b)),
    "LessOrEqual": _each(lambda a, b: bool(a <= b)),
    "Greater": _each(lambda a, b: bool(a > b)),
    "GreaterOrEqual": _each(lambda a, b: bool(a >= b)),
    "And": _each(lambda a, b: bool(a) and bool(b)),
    "Or": _each(lambda a, b: bool(a) or bool(b)),
    "Not": _each(lambda a: not a),
    "Cast": _any_missing(_cast),
    "CastLike": _any_missing(_cast),
    "Identity": lambda call, data: data,
    "Gather": _gather,
    "Concat": _concat,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Slice": _slice,
    "Reshape": _reshape,
    "Transpose": lambda call, data: np.transpose(data, call.attr("perm")),
    "Flatten": lambda call, data: data.reshape(math.prod(data.shape[: call.attr("axis", 1)]), -1),
    "Expand": _expand,
    "ConstantOfShape": _constant_of_shape,
    "Range": _range,
    "Split": _split,
    "Tile": _tile,
    "ScatterND": _scatter_nd,
    "Where": _where,
    "ReduceProd": _reduced(operator.mul),
    "ReduceSum": _reduced(operator.add),
    "ReduceMax": _reduced(max),
    "ReduceMin": _reduced(min),
}


def shape_of(tensor: ir.TensorProtocol) -> tuple[int, ...]:
    """The sizes of a tensor of the file."""
    return tuple(int(str(size)) for size in tensor.shape)


def known_of(tensor: ir.TensorProtocol) -> Array | None:
    """The elements of a small tensor of real numbers whose values are in the file; None for others."""
    shape = shape_of(tensor)
    if isinstance(tensor, ir.ExternalTensor) or math.prod(shape) > KNOWN_LIMIT:
        return None
    if tensor.dtype in _NOT_REAL or (0 not in shape and not _has_values(tensor)):
        return None
    values = tensor.numpy()
    if values.dtype.kind not in "iufb":  # bfloat16 and the float8 types are kinds of their own to NumPy
        values = values.astype(np.float64)
    return np.asarray(values.astype(object)).reshape(shape)


_NOT_REAL = (ir.DataType.STRING, ir.DataType.UNDEFINED, ir.DataType.COMPLEX64, ir.DataType.COMPLEX128)


def _has_values(tensor: ir.TensorProtocol) -> bool:
    """False for a tensor of a file stripped of its weights, which onnx_ir reads as zeros."""
    held = tensor.raw
    return not isinstance(held, onnx.TensorProto) or bool(
        held.raw_data or held.float_data or held.int32_data or held.int64_data or held.double_data or held.uint64_data
    )
