"""Reductions, searches and orderings."""

from __future__ import annotations

from typing import Any

from graphlab.errors import SourceError
from graphlab.onnx_graph.call import OnnxCall, Results, onnx
from graphlab.onnx_graph.value import Value

_DIMS = {
    "ReduceMean": "mean.dim",
    "ReduceSum": "sum.dim_IntList",
    "ReduceMax": "amax.default",
    "ReduceMin": "amin.default",
}
_DIMS["ReduceLogSumExp"] = "logsumexp.default"


def _axes(call: OnnxCall) -> tuple[list[int], bool] | None:
    """(axes, whether they stay with size 1); None for no axes and `noop_with_empty_axes`."""
    axes = call.integers(1, "axes")
    if not axes:
        if call.attr("noop_with_empty_axes", 0):
            return None
        axes = list(range(call.input(0).rank))
    return [int(axis) for axis in axes], bool(call.attr("keepdims", 1))


def _own(value: Value) -> dict[str, Any]:
    """The option that keeps sums of integers in their type, where torch would widen them to int64."""
    return {} if value.dtype.is_floating_point else {"dtype": value.dtype}


@onnx(*_DIMS)
def reduce(call: OnnxCall) -> Value:
    """Mean, sum, extremum or log-sum-exp over axes."""
    found, x = _axes(call), call.input(0)
    if found is None:
        return x
    target = f"aten.{_DIMS[call.node.op_type]}"
    if call.node.op_type == "ReduceMean" and not x.dtype.is_floating_point:  # torch has no mean of integers
        like = call.tracer.shape_of("aten.sum.dim_IntList", x, *found)
        return call.same(target, Value(x.dtype, like.shape), x, *found)
    made: Value = call.run(target, x, *found, **(_own(x) if call.node.op_type == "ReduceSum" else {}))
    return made


@onnx("ReduceL1", "ReduceL2")
def norm(call: OnnxCall) -> Value:
    """Sum of magnitudes, or the root of the sum of squares."""
    found = _axes(call)
    if found is None:
        raise SourceError(f"{call.what} reduces no axis")
    order = 1 if call.node.op_type == "ReduceL1" else 2
    made: Value = call.run("aten.linalg_vector_norm.default", call.input(0), order, *found)
    return made


@onnx("ReduceSumSquare")
def sum_square(call: OnnxCall) -> Value:
    """The sum of squares."""
    squares: Value = call.run("aten.pow.Tensor_Scalar", call.input(0), 2)
    found = _axes(call)
    made: Value = squares if found is None else call.run("aten.sum.dim_IntList", squares, *found)
    return made


@onnx("ReduceProd")
def product(call: OnnxCall) -> Value:
    """Products along one axis after the other."""
    value, found = call.input(0), _axes(call)
    axes, keep = found if found is not None else ([], True)
    for axis in sorted((axis % value.rank for axis in axes), reverse=True):
        value = call.run("aten.prod.dim_int", value, axis, keep, **_own(value))
    return value


@onnx("ArgMax", "ArgMin")
def arg(call: OnnxCall) -> Value:
    """The place of the extremum along `axis`."""
    name, keep = call.node.op_type.lower(), bool(call.attr("keepdims", 1))
    made: Value = call.run(f"aten.{name}.default", call.input(0), call.attr("axis", 0), keep)
    return made


@onnx("CumSum")
def cumsum(call: OnnxCall) -> Value:
    """Running sums along a known axis; exclusive and reversed ones move as much and add as much."""
    axis: Any = call.input(1).scalar()
    if axis is None:
        raise SourceError(f"{call.what} computes its axis from data")
    made: Value = call.run("aten.cumsum.default", call.input(0), int(axis), **_own(call.input(0)))
    return made


@onnx("TopK")
def topk(call: OnnxCall) -> Results:
    """The k greatest or least along `axis`, and their places."""
    counts = call.integers(1, "k")
    count = call.attr("k") if counts is None else counts[0]
    largest, in_order = bool(call.attr("largest", 1)), bool(call.attr("sorted", 1))
    made: Results = call.run("aten.topk.default", call.input(0), count, call.attr("axis", -1), largest, in_order)
    return made
