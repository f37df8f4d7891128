"""Rotary embeddings: RotaryEmbedding of opset 23, or that of com.microsoft where the provider has that alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from graphlab.exporting.contrib import contrib, node
from graphlab.exporting.targets import Target
from graphlab.fused.registry import opset18
from graphlab.fused.rotary_embedding import ROTARY_EMBEDDING
from graphlab.fused.rotary_embedding import onnx as spelled

_ROTATED = Callable[[Any, Any, Any, dict[str, int]], Any]


def standard(x: Any, cos: Any, sin: Any, attributes: dict[str, int]) -> Any:
    """RotaryEmbedding; its tables have the batch of x."""
    return node("", "RotaryEmbedding", (x, cos, sin), attributes)


def of_microsoft(x: Any, cos: Any, sin: Any, attributes: dict[str, int]) -> Any:
    """com.microsoft RotaryEmbedding; its tables (t, r / 2) have no batch, position 0 is the first row."""
    op = opset18()
    axis = op.Constant(value_ints=[0])
    first = op.Constant(value_ints=[0])
    if "rotary_embedding_dim" in attributes and "num_heads" not in attributes:
        attributes = {**attributes, "num_heads": x.shape[1]}  # it asks for them where channels are left alone
    return contrib("RotaryEmbedding", x, first, op.Squeeze(cos, axis), op.Squeeze(sin, axis), **attributes)


def _translation(target: Target) -> Callable[..., Any]:
    def rotary_embedding(x: Any, cos: Any, sin: Any, interleaved: bool = False, heads_first: bool = True) -> Any:
        """One operator where widths are known and tables fit the target's operator, otherwise products and sums."""
        width, half = x.shape[-1], cos.shape[-1]
        rotated = _operator(target, cos)
        if rotated is None or not isinstance(width, int) or not isinstance(half, int):
            return spelled(x, cos, sin, interleaved, heads_first)
        op = opset18()
        given = op.CastLike(x, cos) if x.dtype.itemsize < cos.dtype.itemsize else x
        if rotated is standard and cos.shape[0] == 1 and x.shape[0] != 1:
            wide = op.Concat(op.Shape(x, end=1), op.Constant(value_ints=[1, 1]), axis=0)
            cos, sin = op.Expand(cos, wide), op.Expand(sin, wide)
        cos, sin = (op.CastLike(table, given) for table in (cos, sin))
        attributes = {"interleaved": int(interleaved)}
        if 2 * half != width:
            attributes["rotary_embedding_dim"] = 2 * half
        if len(x.shape) == 4 and heads_first:
            return op.CastLike(rotated(given, cos, sin, attributes), x)
        heads = x.shape[2] if len(x.shape) == 4 else 1
        packed = op.Reshape(given, op.Constant(value_ints=[0, 0, -1])) if len(x.shape) == 4 else given
        out = rotated(packed, cos, sin, {**attributes, "num_heads": heads})
        if len(x.shape) == 4:
            out = op.Reshape(out, op.Constant(value_ints=[0, 0, heads, width]))
        return op.CastLike(out, x)

    return rotary_embedding


def _operator(target: Target, cos: Any) -> _ROTATED | None:
    if target.opset >= 23 and not target.has("GroupNorm"):
        return standard
    if target.has("RotaryEmbedding") and cos.shape[0] == 1:
        return of_microsoft
    return standard if target.opset >= 23 else None


def translations(target: Target) -> Mapping[Callable[..., Any], Callable[..., Any]]:
    """Those of rotary embeddings for `target`."""
    return {ROTARY_EMBEDDING: _translation(target)}
