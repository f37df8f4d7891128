"""Attention in its spellings: the standard operator's and ONNX Runtime's, as the analysis reports it."""

from __future__ import annotations

from typing import Any

import onnx
import pytest
from onnx import TensorProto

from graphlab.pipeline import Facts
from tests.onnx_graph.builders import graph_of, model, node, read, targets, tensor, total, weight

MS = "com.microsoft"
B, Q, K, H, D = 2, 6, 10, 4, 8
SCORES = B * H * Q * K
FLOPS = 4 * SCORES * D


def projected(attention: onnx.NodeProto, opset: int = 23, **more: Any) -> onnx.ModelProto:
    """q from x, k and v from x or from text, through `attention`."""
    nodes = [node("MatMul", "x wq", "q"), node("MatMul", "x wk", "k"), node("MatMul", "x wv", "v")]
    nodes += [node("MatMul", "text wk", "tk"), node("MatMul", "text wv", "tv"), attention]
    given = [weight(name, H * D, H * D) for name in ("wq", "wk", "wv")]
    inputs = [tensor("x", "batch", "tokens", H * D), tensor("text", "batch", "words", H * D)]
    return model(nodes, inputs, given, opset=opset, **more)


ATTENTIONS = [
    ("standard", node("Attention", "q k v", q_num_heads=H, kv_num_heads=H), "self", False),
    ("standard-causal", node("Attention", "q k v", q_num_heads=H, kv_num_heads=H, is_causal=1), "self", True),
    ("standard-cross", node("Attention", "q tk tv", q_num_heads=H, kv_num_heads=H), "cross", False),
    ("runtime", node("MultiHeadAttention", "q k v", domain=MS, num_heads=H), "self", False),
    ("runtime-cross", node("MultiHeadAttention", "q tk tv", domain=MS, num_heads=H), "cross", False),
]  # fmt: skip


@pytest.mark.parametrize(("attention", "kind", "causal"), [a[1:] for a in ATTENTIONS], ids=[a[0] for a in ATTENTIONS])
def test_the_analysis_sees_it(attention: onnx.NodeProto, kind: str, causal: bool) -> None:
    found = read(projected(attention)).program.graph
    (site,) = Facts(found, dict(found.symbols)).result("attention")
    assert (site.kind, site.axis, site.heads, site.fused, site.causal) == (kind, "sequence", H, True, causal)
    assert found.by_name[site.query].out.shape[-2] == "x.d1"
    assert found.by_name[site.key].out.shape[-2] == ("x.d1" if kind == "self" else "text.d1")


def operands(*shapes: tuple[int, ...]) -> list[onnx.ValueInfoProto]:
    return [tensor(name, *shape) for name, shape in zip("qkv", shapes, strict=False)]


def test_packed_and_split_operands_count_the_same() -> None:
    flat = operands((B, Q, H * D), (B, K, H * D), (B, K, H * D))
    split = operands((B, H, Q, D), (B, H, K, D), (B, H, K, D))
    packed = [tensor("q", B, Q, H * D), tensor("k", B, K, H, 2, D)]
    whole = model([node("MultiHeadAttention", "q", domain=MS, num_heads=H)], [tensor("q", B, Q, H, 3, D)])
    for proto in (
        model([node("Attention", "q k v", q_num_heads=H, kv_num_heads=H)], flat, opset=23),
        model([node("Attention", "q k v")], split, opset=23),
        model([node("MultiHeadAttention", "q k v", domain=MS, num_heads=H)], flat),
        model([node("MultiHeadAttention", "q k", domain=MS, num_heads=H)], packed),
    ):
        assert total(graph_of(proto)) == (FLOPS, 6 * SCORES)
    assert total(graph_of(whole))[0] == 4 * B * H * Q * Q * D


def test_a_given_scale_of_one_is_free_and_a_mask_is_not() -> None:
    flat = operands((B, Q, H * D), (B, K, H * D), (B, K, H * D))
    free = model([node("Attention", "q k v", q_num_heads=H, kv_num_heads=H, scale=1.0)], flat, opset=23)
    assert total(graph_of(free)) == (FLOPS, 5 * SCORES)
    mask = [*flat, tensor("m", B, 1, Q, K)]
    for name, text in (("Attention", "q k v m"), ("MultiHeadAttention", "q k v - - m")):
        heads = {"q_num_heads": H, "kv_num_heads": H} if name == "Attention" else {"num_heads": H}
        domain = "" if name == "Attention" else MS
        proto = model([node(name, text, domain=domain, **heads)], mask, opset=23)
        assert total(graph_of(proto)) == (FLOPS, 7 * SCORES)


def test_caches_lengthen_the_keys() -> None:
    given = [tensor("q", B, 1, H * D), tensor("k", B, 1, H * D), tensor("v", B, 1, H * D)]
    given += [tensor("pk", B, H, 9, D), tensor("pv", B, H, 9, D)]
    for proto in (
        model([node("Attention", "q k v - pk pv", "y nk nv", q_num_heads=H, kv_num_heads=H)], given, opset=23),
        model([node("MultiHeadAttention", "q k v - - - pk pv", "y nk nv", domain=MS, num_heads=H)], given),
    ):
        assert total(graph_of(proto))[0] == 4 * B * H * 10 * D


def test_grouped_queries() -> None:
    given = [tensor("q", B, Q, H * D), tensor("k", B, Q, 2 * D), tensor("v", B, Q, 2 * D)]
    given += [tensor("n", B, 1, dtype=TensorProto.INT32), tensor("t", 1, dtype=TensorProto.INT32)]
    nodes = [node("GroupQueryAttention", "q k v - - n t", domain=MS, num_heads=H, kv_num_heads=2)]
    graph = graph_of(model(nodes, given))
    assert total(graph)[0] == 4 * B * H * Q * Q * D
    assert dict(next(n for n in graph.calls if "scaled_dot" in n.target).kwargs)["enable_gqa"] is True


def test_attention_with_its_projection() -> None:
    nodes = [node("Attention", "x w b", domain=MS, num_heads=H)]
    proto = model(nodes, [tensor("x", B, Q, 16)], [weight("w", 16, 3 * H * D), weight("b", 3 * H * D)])
    flops, pointwise = total(graph_of(proto))
    assert flops == 2 * B * Q * 16 * 3 * H * D + 4 * B * H * Q * Q * D
    assert pointwise == B * Q * 3 * H * D + 6 * B * H * Q * Q


def test_a_softcap_holds_the_scores_in_memory() -> None:
    flat = operands((B, Q, H * D), (B, K, H * D), (B, K, H * D))
    proto = model([node("Attention", "q k v", q_num_heads=H, kv_num_heads=H, softcap=30.0)], flat, opset=23)
    graph = graph_of(proto)
    assert total(graph) == (FLOPS, 9 * SCORES)
    assert targets(graph)["aten.softmax.int"] == 1


def test_spelled_attention_is_found() -> None:
    nodes = [node("Transpose", "k", "kt", perm=[0, 1, 3, 2]), node("MatMul", "q kt", "s"), node("Mul", "s c", "m")]
    nodes += [node("Softmax", "m", "p"), node("MatMul", "p v")]
    given = operands((B, H, Q, D), (B, H, K, D), (B, H, K, D))
    scale = onnx.helper.make_tensor("c", TensorProto.FLOAT, (), [0.5])
    found = read(model(nodes, given, [scale])).program.graph
    (site,) = Facts(found, {}).result("attention")
    assert (site.fused, len(site.members)) == (False, 4)


def test_a_mask_that_ends_before_the_keys_hides_the_rest() -> None:
    flat = operands((B, Q, H * D), (B, K, H * D), (B, K, H * D))
    proto = model(
        [node("Attention", "q k v m", q_num_heads=H, kv_num_heads=H)], [*flat, tensor("m", Q, K - 3)], opset=23
    )
    graph = graph_of(proto)
    assert total(graph) == (FLOPS, 7 * SCORES)
    assert targets(graph)["aten.constant_pad_nd.default"] == 1


def test_truth_values_mask_scores_that_are_capped() -> None:
    given = [*operands((B, Q, H * D), (B, K, H * D), (B, K, H * D)), tensor("m", Q, K, dtype=TensorProto.BOOL)]
    attention = node("Attention", "q k v m", q_num_heads=H, kv_num_heads=H, softcap=30.0)
    assert total(graph_of(model([attention], given, opset=23))) == (FLOPS, 10 * SCORES)
