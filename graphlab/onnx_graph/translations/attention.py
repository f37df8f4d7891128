"""The standard Attention operator, and what every spelling of attention is written as: scaled dot products."""

from __future__ import annotations

from typing import Any

import torch

from graphlab.errors import SourceError
from graphlab.onnx_graph.call import OnnxCall, Results, onnx
from graphlab.onnx_graph.value import Value


@onnx("Attention")
def attention(call: OnnxCall) -> Results:
    """q (b, heads, q, d) or (b, q, heads d), k and v alike; caches in front of keys and values, scores on request."""
    packed = call.input(0).rank == 3
    heads = call.attr("q_num_heads", 0)
    kv_heads = call.attr("kv_num_heads", heads)
    q, k, v = (call.input(i) for i in range(3))
    if packed:
        if not heads or not kv_heads:
            raise SourceError(f"{call.what} has inputs of rank 3 and no number of heads", hint="the file is damaged")
        q, k, v = split_heads(call, q, heads), split_heads(call, k, kv_heads), split_heads(call, v, kv_heads)
    k, v = with_past(call, k, call.optional(4)), with_past(call, v, call.optional(5))
    scale, causal = call.attr("scale"), bool(call.attr("is_causal", 0))
    if call.wants(3) or call.attr("softcap", 0.0):
        out, scores = _spelled(call, q, k, v)
    else:
        out, scores = attend(call, q, k, v, _mask(call, k), causal=causal, scale=scale), None
    return [join_heads(call, out) if packed else out, k, v, scores]


def attend(
    call: OnnxCall, q: Value, k: Value, v: Value, mask: Value | None, *, causal: bool = False, scale: Any = None
) -> Value:
    """softmax(scale q k^T + mask) v of q (b, h, q, d), k (b, g, k, d), v (b, g, k, e), as one operator."""
    if q.rank != 4 or k.rank != 4 or v.rank != 4:
        raise SourceError(f"{call.what} attends over tensors of rank {q.rank}, {k.rank}, {v.rank}, expected 4")
    pairs = ((q, k, 0), (k, v, 0), (k, v, 1), (k, v, 2), (q, k, 3))
    if not all(first.shape[axis] == second.shape[axis] for first, second, axis in pairs):
        shapes = ", ".join(str(tuple(value.shape)) for value in (q, k, v))
        raise SourceError(f"{call.what} attends over queries, keys and values of shapes {shapes}")
    if mask is not None:
        call.tracer.shape_of("aten.expand.default", mask, [*q.shape[:3], k.shape[2]])  # torch guards that it fits
    grouped = str(q.shape[1]) != str(k.shape[1])
    shape = (*q.shape[:3], v.shape[3])
    options = {"scale": scale} if scale is not None else {}
    options |= {"enable_gqa": True} if grouped else {}
    target = "aten.scaled_dot_product_attention.default"
    made: Value = call.tracer.write(target, (q, k, v, mask, 0.0, causal), [(shape, q.dtype)], options)
    return made


def _mask(call: OnnxCall, k: Value) -> Value | None:
    """The mask; one that ends before the keys (b, g, k, d) do hides those behind its end."""
    mask = call.optional(3)
    if mask is None or mask.rank == 0:
        return mask
    have, keys = mask.shape[-1], k.shape[2]
    if not isinstance(have, int) or not isinstance(keys, int) or not 1 < have < keys:
        return mask
    hidden = False if mask.dtype == torch.bool else float("-inf")
    made: Value = call.run("aten.constant_pad_nd.default", mask, [0, keys - have], hidden)
    return made


def _spelled(call: OnnxCall, q: Value, k: Value, v: Value) -> tuple[Value, Value]:
    """(output, scores) with the scores in memory: they are returned, or bent by a softcap."""
    repeats = q.shape[1] // k.shape[1]
    if isinstance(repeats, int) and repeats > 1:
        k, v = (call.run("aten.repeat_interleave.self_int", value, repeats, 1) for value in (k, v))
    scale = call.attr("scale")
    scale = q.shape[3] ** -0.5 if scale is None else scale
    scores = call.run("aten.matmul.default", q, call.run("aten.transpose.int", k, -2, -1))
    scores = call.run("aten.mul.Tensor", scores, scale)
    stages = [scores]
    mask, cap = _mask(call, k), call.attr("softcap", 0.0)
    if mask is not None and mask.dtype == torch.bool:
        scores = call.run("aten.where.ScalarOther", mask, scores, float("-inf"))
    elif mask is not None:
        scores = call.run("aten.add.Tensor", scores, mask)
    stages.append(scores)
    if cap:
        scores = call.run("aten.tanh.default", call.run("aten.div.Tensor", scores, cap))
        scores = call.run("aten.mul.Tensor", scores, cap)
    stages.append(scores)
    weights = call.run("aten.softmax.int", scores, -1)
    stages.append(weights)
    return call.run("aten.matmul.default", weights, v), stages[call.attr("qk_matmul_output_mode", 0)]


def split_heads(call: OnnxCall, value: Value, heads: int) -> Value:
    """(b, t, heads d) to (b, heads, t, d), a view."""
    b, t, width = value.shape
    if isinstance(width, int) and width % heads:
        raise SourceError(f"{call.what} has {heads} heads, which do not divide {width} channels")
    rows = call.run("aten.reshape.default", value, [b, t, heads, width // heads])
    made: Value = call.run("aten.transpose.int", rows, 1, 2)
    return made


def join_heads(call: OnnxCall, value: Value) -> Value:
    """(b, heads, t, d) to (b, t, heads d)."""
    b, heads, t, d = value.shape
    rows = call.run("aten.transpose.int", value, 1, 2)
    made: Value = call.run("aten.reshape.default", rows, [b, t, heads * d])
    return made


def with_past(call: OnnxCall, value: Value, past: Value | None) -> Value:
    """`value` (b, h, t, d) behind the cache `past` (b, h, p, d)."""
    if past is None:
        return value
    made: Value = call.run("aten.cat.default", [past, value], 2)
    return made
