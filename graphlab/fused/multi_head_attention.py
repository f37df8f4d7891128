"""`graphlab::multi_head_attention`: attention of tensors whose last axis holds all heads side by side."""

from __future__ import annotations

from typing import Any

import torch

from graphlab.fused.registry import Emit, define, opset18, value_of
from graphlab.graph import TensorSpec
from graphlab.ops import attention
from graphlab.ops.rule import Work, op

aten = torch.ops.aten


def decompose(
    emit: Emit,
    query: Any,
    key: Any,
    value: Any,
    heads: int,
    bias: Any = None,
    causal: bool = False,
    scale: float | None = None,
) -> Any:
    """query (b, q, heads d), key (b, k, heads d), value (b, k, heads e) to (b, q, heads e).

    `bias` broadcasts to (b, heads, q, k) and is added to the scores; `causal` hides keys after the query, counted
    from the first of both; `scale` is 1 / sqrt(d) when left out. RuntimeError when heads do not divide an axis.
    """
    split = []
    for name, packed in (("query", query), ("key", key), ("value", value)):
        shape = value_of(packed).shape
        if len(shape) != 3 or shape[-1] % heads != 0:
            raise RuntimeError(
                f"{name} of graphlab::multi_head_attention is {tuple(shape)}, {heads} heads do not divide it"
            )
        rows = emit(aten.reshape.default, packed, [shape[0], -1, heads, shape[-1] // heads])
        split.append(emit(aten.transpose.int, rows, 1, 2))
    out = emit(aten.scaled_dot_product_attention.default, *split, bias, 0.0, causal, scale=scale)
    rows = emit(aten.transpose.int, out, 1, 2)
    shape = value_of(rows).shape
    return emit(aten.reshape.default, rows, [shape[0], -1, shape[2] * shape[3]])


def onnx(
    query: Any, key: Any, value: Any, heads: int, bias: Any = None, causal: bool = False, scale: float | None = None
) -> Any:
    """Scores, softmax and values, written out over split heads. The kernels are com.microsoft MultiHeadAttention and
    the standard's Attention of opset 23."""
    onnx_op = opset18()
    width = query.shape[2]
    factor = scale if scale is not None else float((width // heads) ** -0.5)
    split = []
    for packed, order in ((query, [0, 2, 1, 3]), (key, [0, 2, 3, 1]), (value, [0, 2, 1, 3])):
        rows = onnx_op.Reshape(packed, [0, 0, heads, packed.shape[2] // heads])
        split.append(onnx_op.Transpose(rows, perm=order))
    scores = onnx_op.Mul(onnx_op.MatMul(split[0], split[1]), onnx_op.CastLike(factor, query))
    if bias is not None:
        scores = onnx_op.Add(scores, bias)
    if causal:
        ones = onnx_op.Add(onnx_op.ConstantOfShape(onnx_op.Shape(scores, start=-2)), 1.0)
        kept = onnx_op.Greater(onnx_op.Trilu(ones, upper=0), 0.0)
        scores = onnx_op.Where(kept, scores, onnx_op.CastLike(float("-inf"), query))
    out = onnx_op.Transpose(onnx_op.MatMul(onnx_op.Softmax(scores, axis=-1), split[2]), perm=[0, 2, 1, 3])
    return onnx_op.Reshape(out, [0, 0, -1])


MULTI_HEAD_ATTENTION = define(
    "multi_head_attention(Tensor query, Tensor key, Tensor value, int heads, Tensor? bias=None, bool causal=False, "
    "float? scale=None) -> Tensor",
    decompose,
    onnx,
)


@op(str(MULTI_HEAD_ATTENTION), category="attention", axes="unknown")
def rule(
    query: TensorSpec,
    key: TensorSpec,
    value: TensorSpec,
    heads: int,
    bias: TensorSpec | None = None,
    causal: bool = False,
    scale: float | None = None,
    *,
    out: TensorSpec,
) -> Work:
    """As scaled_dot_product_attention over split heads."""
    split = [_split(packed, heads) for packed in (query, key, value)]
    return attention.scaled_dot_product_attention(*split, bias, 0.0, causal, scale=scale, out=_split(out, heads))


def _split(packed: TensorSpec, heads: int) -> TensorSpec:
    """(b, t, heads d) as (b, heads, t, d)."""
    batch, tokens, width = packed.shape
    one = width // heads if isinstance(width, int) else f"({width}) // {heads}"
    return TensorSpec((batch, heads, tokens, one), (1, 1, 1, 1), packed.dtype)
