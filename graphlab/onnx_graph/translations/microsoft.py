"""The fused attentions, activations and sums of ONNX Runtime (com.microsoft)."""

from __future__ import annotations

from collections.abc import Sequence

from graphlab.errors import SourceError
from graphlab.onnx_graph.call import MICROSOFT, OnnxCall, Results, onnx
from graphlab.onnx_graph.translations.attention import attend, join_heads, split_heads, with_past
from graphlab.onnx_graph.value import Value

_ACTIVATIONS = ("BiasGelu", "FastGelu", "QuickGelu", "Gelu", "BiasAdd")


@onnx(*_ACTIVATIONS, domain=MICROSOFT)
def activation(call: OnnxCall) -> Value:
    """One kernel over x, its bias and what is added, by the name it has there."""
    x = call.input(0)
    return call.same(f"com.microsoft.{call.node.op_type}", x, *call.inputs)


@onnx("BiasSplitGelu", domain=MICROSOFT)
def bias_split_gelu(call: OnnxCall) -> Value:
    """x (b, t, 2 c) + bias (2 c): the first half times gelu of the second."""
    x, bias = call.input(0), call.input(1)
    shape = (*x.shape[:-1], x.shape[-1] // 2)
    made: Value = call.tracer.write("com.microsoft.BiasSplitGelu", (x, bias), [(shape, x.dtype)])
    return made


@onnx("MultiHeadAttention", domain=MICROSOFT)
def multi_head_attention(call: OnnxCall) -> Results:
    """query (b, q, h d); key and value alike, packed with it (b, t, h, 3 or 2, d), or already split (b, h, k, d)."""
    heads = call.attr("num_heads", 0)
    if heads < 1:
        raise SourceError(f"{call.what} has no number of heads", hint="the file is damaged")
    q, k, v = _with_bias(call, _operands(call), heads)
    k, v = with_past(call, k, call.optional(6)), with_past(call, v, call.optional(7))
    mask = call.optional(5)
    if mask is None and call.optional(4) is not None:
        mask = _padding(call, call.input(4), q, k)
    out = attend(call, q, k, v, mask, causal=bool(call.attr("unidirectional", 0)), scale=call.attr("scale") or None)
    return [join_heads(call, out), k, v]


def _operands(call: OnnxCall) -> Sequence[Value]:
    q, heads = call.input(0), call.attr("num_heads", 0)
    if q.rank == 5:
        rows = [call.run("aten.select.int", q, 3, i) for i in range(3)]
        return [call.run("aten.transpose.int", row, 1, 2) for row in rows]
    q, k = split_heads(call, q, heads), call.input(1)
    if k.rank == 5:
        pair = [call.run("aten.transpose.int", call.run("aten.select.int", k, 3, i), 1, 2) for i in range(2)]
        return [q, *pair]
    v = call.input(2)
    return [q, *(value if value.rank == 4 else split_heads(call, value, heads) for value in (k, v))]


def _with_bias(call: OnnxCall, operands: Sequence[Value], heads: int) -> Sequence[Value]:
    """The three operands (b, h, t, d) plus their parts of the bias (3 h d)."""
    bias = call.optional(3)
    if bias is None:
        return operands
    widths = [heads * value.shape[3] for value in operands]
    parts = call.run("aten.split_with_sizes.default", bias, widths, 0)
    rows = [call.run("aten.reshape.default", part, [heads, 1, -1]) for part in parts]
    return [call.run("aten.add.Tensor", value, row) for value, row in zip(operands, rows, strict=True)]


def _padding(call: OnnxCall, mask: Value, q: Value, k: Value) -> Value:
    """The key padding mask (b, k) as (b, 1, 1, k), (b, q, k) as (b, 1, q, k); lengths (b) as a mask of them."""
    if mask.rank == 2:
        made: Value = call.run("aten.reshape.default", mask, [mask.shape[0], 1, 1, mask.shape[1]])
        return made
    if mask.rank == 3:
        whole: Value = call.run("aten.unsqueeze.default", mask, 1)
        return whole
    return call.same("com.microsoft.LengthMask", Value(mask.dtype, (q.shape[0], 1, 1, k.shape[2])), mask)


@onnx("Attention", domain=MICROSOFT)
def attention(call: OnnxCall) -> Results:
    """x (b, t, c) through weights (c, 3 h d) and a bias, attending to itself; past (2, b, h, p, d)."""
    heads, x, weight, bias = call.attr("num_heads", 0), call.input(0), call.input(1), call.optional(2)
    if heads < 1:
        raise SourceError(f"{call.what} has no number of heads", hint="the file is damaged")
    packed = call.run("aten.matmul.default", x, weight)
    if bias is not None:
        packed = call.run("aten.add.Tensor", packed, bias)
    each = weight.shape[1] // 3
    sizes = list(call.attr("qkv_hidden_sizes", (each, each, each)))
    pieces = call.run("aten.split_with_sizes.default", packed, sizes, -1)
    q, k, v = (split_heads(call, piece, heads) for piece in pieces)
    past = call.optional(4)
    if past is not None:
        k, v = (with_past(call, o, call.run("aten.select.int", past, 0, i)) for i, o in enumerate((k, v)))
    mask = call.optional(5)
    if mask is None and call.optional(3) is not None:
        mask = _padding(call, call.input(3), q, k)
    out = attend(call, q, k, v, mask, causal=bool(call.attr("unidirectional", 0)), scale=call.attr("scale") or None)
    present = call.run("aten.stack.default", [k, v], 0) if call.wants(1) else None
    return [join_heads(call, out), present]


@onnx("GroupQueryAttention", domain=MICROSOFT)
def group_query_attention(call: OnnxCall) -> Results:
    """query (b, t, h d), or all three packed in it; key and value (b, t, g d); past (b, g, p, d); causal."""
    heads, groups = call.attr("num_heads", 0), call.attr("kv_num_heads", 0)
    if heads < 1 or groups < 1:
        raise SourceError(f"{call.what} has no number of heads", hint="the file is damaged")
    if call.optional(1) is None:
        width = call.input(0).shape[2] // (heads + 2 * groups)
        sizes = [heads * width, groups * width, groups * width]
        q, k, v = call.run("aten.split_with_sizes.default", call.input(0), sizes, -1)
    else:
        q, k, v = (call.input(i) for i in range(3))
    q, k, v = split_heads(call, q, heads), split_heads(call, k, groups), split_heads(call, v, groups)
    if call.attr("do_rotary", 0):
        cos, sin = call.input(7), call.input(8)
        q, k = (call.same("onnx.RotaryEmbedding", value, value, cos, sin, None, None) for value in (q, k))
    k, v = with_past(call, k, call.optional(3)), with_past(call, v, call.optional(4))
    out = attend(call, q, k, v, call.optional(10), causal=True, scale=call.attr("scale") or None)
    return [join_heads(call, out), k, v]
