"""Rotary embeddings: the standard operator, and ONNX Runtime's."""

from __future__ import annotations

from graphlab.onnx_graph.call import MICROSOFT, OnnxCall, onnx
from graphlab.onnx_graph.value import Value


@onnx("RotaryEmbedding")
def standard(call: OnnxCall) -> Value:
    """x (b, heads, t, d) or (b, t, heads d), cosine and sine caches, positions where the caches are tables."""
    x, cos, sin, positions = call.input(0), call.input(1), call.input(2), call.optional(3)
    return call.same("onnx.RotaryEmbedding", x, x, cos, sin, positions, _share(call, x))


@onnx("RotaryEmbedding", domain=MICROSOFT)
def microsoft(call: OnnxCall) -> Value:
    """As the standard one; positions come second."""
    x, positions, cos, sin = (call.input(i) for i in range(4))
    return call.same("onnx.RotaryEmbedding", x, x, cos, sin, positions, _share(call, x))


def _share(call: OnnxCall, x: Value) -> tuple[int, int] | None:
    """(rotated, all) elements of a head where only part of each is rotated; None where all are."""
    dim = call.attr("rotary_embedding_dim", 0)
    heads = call.attr("num_heads", 0)
    whole = x.shape[-1] if x.rank == 4 else x.shape[-1] // heads if heads else 0
    return (dim, int(whole)) if dim and whole and dim != whole else None
