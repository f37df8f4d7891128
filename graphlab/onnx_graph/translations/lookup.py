"""Gather and Scatter in their kinds."""

from __future__ import annotations

from typing import Any

from graphlab.errors import SourceError
from graphlab.onnx_graph.call import OnnxCall, onnx
from graphlab.onnx_graph.value import Value


@onnx("Gather")
def gather(call: OnnxCall) -> Value:
    """The entries `indices` of `axis`: one known entry is a view, rows of a table are an embedding."""
    x, indices, axis = call.input(0), call.input(1), call.attr("axis", 0) % max(call.input(0).rank, 1)
    known = indices.scalar()
    if known is not None and isinstance(known, int):
        return _selected(call, x, axis, known, indices.rank)
    if axis == 0 and x.rank == 2:
        made: Value = call.run("aten.embedding.default", x, indices)
        return made
    if indices.rank == 1:
        picked: Value = call.run("aten.index_select.default", x, axis, indices)
        return picked
    indexed: Value = call.run("aten.index.Tensor", x, [*[None] * axis, indices])
    return indexed


def _selected(call: OnnxCall, x: Value, axis: int, index: int, rank: int) -> Value:
    made: Value = call.run("aten.select.int", x, axis, index)
    for _ in range(rank):
        made = call.run("aten.unsqueeze.default", made, axis)
    return made


@onnx("GatherElements")
def gather_elements(call: OnnxCall) -> Value:
    """An entry of `axis` for every element of the indices."""
    made: Value = call.run("aten.gather.default", call.input(0), call.attr("axis", 0), call.input(1))
    return made


@onnx("GatherND")
def gather_nd(call: OnnxCall) -> Value:
    """Entries addressed by the last axis of the indices."""
    x, indices = call.input(0), call.input(1)
    batch, depth = call.attr("batch_dims", 0), indices.shape[-1]
    if batch:
        raise SourceError(f"{call.what} addresses entries a batch element, which graphlab does not read")
    if not isinstance(depth, int):
        raise SourceError(f"{call.what} addresses a number of axes that depends on the inputs")
    columns = [call.run("aten.select.int", indices, -1, i) for i in range(depth)]
    made: Value = call.run("aten.index.Tensor", x, columns)
    return made


@onnx("ScatterElements", "Scatter")
def scatter(call: OnnxCall) -> Value:
    """Updates put, or reduced, where the indices of `axis` say."""
    x, indices, updates = call.input(0), call.input(1), call.input(2)
    axis, reduction = call.attr("axis", 0), call.attr("reduction", "none")
    if reduction == "none":
        made: Value = call.run("aten.scatter.src", x, axis, indices, updates)
        return made
    name = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}[reduction]
    reduced: Value = call.run("aten.scatter_reduce.two", x, axis, indices, updates, name)
    return reduced


@onnx("ScatterND")
def scatter_nd(call: OnnxCall) -> Value:
    """Updates put, or added, where the last axis of the indices says."""
    x, indices, updates = call.input(0), call.input(1), call.input(2)
    depth, reduction = indices.shape[-1], call.attr("reduction", "none")
    if not isinstance(depth, int) or reduction not in ("none", "add"):
        raise SourceError(f"{call.what} scatters in a way graphlab does not read (reduction {reduction})")
    columns = [call.run("aten.select.int", indices, -1, i) for i in range(depth)]
    made: Value = call.run("aten.index_put.default", x, columns, updates, reduction == "add")
    return made


@onnx("OneHot")
def one_hot(call: OnnxCall) -> Value:
    """The index axis of `depth` entries at `axis`, with the off and on values given."""
    indices, depth, values = call.input(0), call.integers(1), call.input(2)
    assert depth is not None
    axis: Any = call.attr("axis", -1)
    place = axis + indices.rank + 1 if axis < 0 else axis
    shape = [*indices.shape[:place], depth[0], *indices.shape[place:]]
    made = call.tracer.write("onnx.OneHot", (indices, values), [(shape, values.dtype)])
    assert isinstance(made, Value)
    return made
