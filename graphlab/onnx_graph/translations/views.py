"""Operators that reorder, cut, join and repeat: views where torch has views, copies where it copies."""

from __future__ import annotations

import math
from typing import Any

import torch

from graphlab.errors import SourceError
from graphlab.onnx_graph.call import OnnxCall, Results, onnx
from graphlab.onnx_graph.value import Value


@onnx("Identity")
def identity(call: OnnxCall) -> Value:
    """Its input."""
    return call.input(0)


@onnx("Dropout")
def dropout(call: OnnxCall) -> Results:
    """Its input: a model that is read is not trained."""
    x = call.input(0)
    if call.wants(1):
        return [x, call.run("aten.full.default", list(x.shape), True, dtype=torch.bool, device="meta")]
    return [x]


@onnx("Reshape")
def reshape(call: OnnxCall) -> Value:
    """0 keeps a size unless `allowzero`; -1 is what is left."""
    x, sizes = call.input(0), call.integers(1, "shape")
    keep = not call.attr("allowzero", 0)
    assert sizes is not None
    target = [x.shape[i] if keep and isinstance(s, int) and s == 0 and i < x.rank else s for i, s in enumerate(sizes)]
    made: Value = call.run("aten.reshape.default", x, target)
    return made


@onnx("Flatten")
def flatten(call: OnnxCall) -> Value:
    """To two axes, split at `axis`."""
    x, axis = call.input(0), call.attr("axis", 1)
    axis = axis + x.rank if axis < 0 else axis
    sizes = [math.prod(x.shape[:axis]), math.prod(x.shape[axis:])]
    made: Value = call.run("aten.reshape.default", x, sizes)
    return made


@onnx("Transpose")
def transpose(call: OnnxCall) -> Value:
    """By `perm`; the reverse order without it."""
    x = call.input(0)
    order = list(call.attr("perm", tuple(reversed(range(x.rank)))))
    made: Value = call.run("aten.permute.default", x, order)
    return made


@onnx("Squeeze")
def squeeze(call: OnnxCall) -> Value:
    """Without the axes named, or without every axis of size 1."""
    axes = call.integers(1, "axes")
    if axes is None:
        made: Value = call.run("aten.squeeze.default", call.input(0))
    else:
        made = call.run("aten.squeeze.dims", call.input(0), [int(axis) for axis in axes])
    return made


@onnx("Unsqueeze")
def unsqueeze(call: OnnxCall) -> Value:
    """New axes of size 1, where they stand in the result."""
    value, axes = call.input(0), [int(axis) for axis in call.integers(1, "axes") or []]
    rank = value.rank + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        value = call.run("aten.unsqueeze.default", value, axis)
    return value


@onnx("Expand")
def expand(call: OnnxCall) -> Value:
    """Broadcast with the shape given: a size of 1 there keeps the input's."""
    x, sizes = call.input(0), call.integers(1)
    assert sizes is not None
    lead = max(len(sizes) - x.rank, 0)
    target = [*sizes] if len(sizes) >= x.rank else [*x.shape[: x.rank - len(sizes)], *sizes]
    kept = [
        x.shape[i - lead] if i >= lead and isinstance(size, int) and size == 1 else size
        for i, size in enumerate(target)
    ]
    made: Value = call.run("aten.expand.default", x, kept)
    return made


@onnx("Slice")
def slice_(call: OnnxCall) -> Value:
    """start to end by step along the axes named; a negative step runs backwards."""
    x, starts, ends = call.input(0), call.integers(1, "starts"), call.integers(2, "ends")
    if starts is None or ends is None:
        raise SourceError(f"{call.what} has no starts or ends", hint="the file is damaged")
    axes = call.integers(3, "axes") or list(range(len(starts)))
    steps = call.integers(4) or [1] * len(starts)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        x = _sliced(call, x, int(axis), start, end, step)
    return x


def _sliced(call: OnnxCall, x: Value, axis: int, start: Any, end: Any, step: Any) -> Value:
    size = x.shape[axis]
    if step > 0:
        made: Value = call.run("aten.slice.Tensor", x, axis, start, end, step)
        return made
    first = size - 1 if start >= size else start + size if start < 0 else start
    last = -1 if end < -size else end + size if end < 0 else end
    turned = call.run("aten.flip.default", x, [axis])
    back: Value = call.run("aten.slice.Tensor", turned, axis, size - 1 - first, size - 1 - last, -step)
    return back


@onnx("Split")
def split(call: OnnxCall) -> Results:
    """Pieces along `axis`: of the sizes given, or as even as they come."""
    x, axis = call.input(0), call.attr("axis", 0)
    sizes, count = call.integers(1, "split"), call.attr("num_outputs", len(call.node.outputs))
    if sizes is None:
        each = -(-x.shape[axis] // count)
        sizes = [each] * (count - 1) + [x.shape[axis] - each * (count - 1)]
    made: Results = call.run("aten.split_with_sizes.default", x, sizes, axis)
    return made


@onnx("Concat")
def concat(call: OnnxCall) -> Value:
    """Along `axis`."""
    given = call.given()
    if len(given) == 1:
        return given[0]
    made: Value = call.run("aten.cat.default", given, call.attr("axis", 1))
    return made


@onnx("Tile")
def tile(call: OnnxCall) -> Value:
    """The whole tensor `repeats` times along every axis."""
    made: Value = call.run("aten.repeat.default", call.input(0), call.integers(1, "repeats"))
    return made


@onnx("Pad")
def pad(call: OnnxCall) -> Value:
    """A border: constant, reflected, repeated (edge) or wrapped round; negative pads cut."""
    x, pads = call.input(0), call.integers(1, "pads")
    if pads is None:
        raise SourceError(f"{call.what} has no pads", hint="the file is damaged")
    axes = [int(axis) % x.rank for axis in call.integers(3) or range(x.rank)]
    by_axis = {axis: (pads[i], pads[i + len(axes)]) for i, axis in enumerate(axes)}
    sides: list[Any] = [side for axis in reversed(range(x.rank)) for side in by_axis.get(axis, (0, 0))]
    mode = call.attr("mode", "constant")
    if mode == "constant":
        value = call.optional(2)
        filled = value.scalar() if value is not None else call.attr("value", 0.0)
        constant: Value = call.run("aten.constant_pad_nd.default", x, sides, 0.0 if filled is None else filled)
        return constant
    while len(sides) > 2 and all(isinstance(side, int) and side == 0 for side in sides[-2:]):
        del sides[-2:]
    name = {"reflect": "reflect", "edge": "replicate", "wrap": "circular"}[mode]
    made: Value = call.run("aten.pad.default", x, sides, name)
    return made


@onnx("DepthToSpace")
def depth_to_space(call: OnnxCall) -> Value:
    """x (n, c b b, h, w) to (n, c, h b, w b): CRD is torch's order, DCR has the blocks outermost."""
    x, block = call.input(0), call.attr("blocksize", 1)
    if call.attr("mode", "DCR") == "CRD":
        shuffled: Value = call.run("aten.pixel_shuffle.default", x, block)
        return shuffled
    n, c, h, w = x.shape
    made = call.run("aten.reshape.default", x, [n, block, block, c // (block * block), h, w])
    made = call.run("aten.permute.default", made, [0, 3, 4, 1, 5, 2])
    whole: Value = call.run("aten.reshape.default", made, [n, c // (block * block), h * block, w * block])
    return whole


@onnx("SpaceToDepth")
def space_to_depth(call: OnnxCall) -> Value:
    """x (n, c, h b, w b) to (n, b b c, h, w), blocks outermost."""
    x, block = call.input(0), call.attr("blocksize", 1)
    n, c, h, w = x.shape
    made = call.run("aten.reshape.default", x, [n, c, h // block, block, w // block, block])
    made = call.run("aten.permute.default", made, [0, 3, 5, 1, 2, 4])
    whole: Value = call.run("aten.reshape.default", made, [n, c * block * block, h // block, w // block])
    return whole


@onnx("Trilu")
def trilu(call: OnnxCall) -> Value:
    """The upper or lower triangle of the last two axes."""
    k = call.optional(1)
    diagonal = 0 if k is None else k.scalar()
    if diagonal is None:
        raise SourceError(f"{call.what} computes its diagonal from data")
    name = "triu" if call.attr("upper", 1) else "tril"
    made: Value = call.run(f"aten.{name}.default", call.input(0), diagonal)
    return made


@onnx("Shape")
def shape(call: OnnxCall) -> Value:
    """The sizes from `start` to `end`, known."""
    sizes = call.input(0).shape
    return call.tracer.numbers(sizes[slice(call.attr("start", 0), call.attr("end"))])


@onnx("Size")
def size(call: OnnxCall) -> Value:
    """The number of elements, known."""
    counted = call.tracer.numbers([call.input(0).numel])
    assert counted.known is not None
    return call.tracer.known(counted.known.reshape(()), counted.dtype)
