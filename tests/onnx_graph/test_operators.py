"""Operators of ONNX against closed forms: FLOPs, pointwise FLOPs, shapes, and the ATen operator they are read as."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from tests.onnx_graph.builders import costs, graph_of, model, node, numbers, targets, tensor, total, weight

MS = "com.microsoft"

CONTRACTIONS = [
    ("matmul", model([node("MatMul", "x w")], [tensor("x", 2, 5, 8)], [weight("w", 8, 3)]), 2 * 2 * 5 * 8 * 3, 0),
    ("gemm", model([node("Gemm", "x w b", transB=1)], [tensor("x", 5, 8)], [weight("w", 3, 8), weight("b", 3)]),
     2 * 5 * 8 * 3, 5 * 3),
    ("gemm-plain", model([node("Gemm", "x w")], [tensor("x", 5, 8)], [weight("w", 8, 3)]), 2 * 5 * 8 * 3, 0),
    ("gemm-alpha", model([node("Gemm", "x w c", alpha=0.5, beta=2.0)], [tensor("x", 5, 8)],
                         [weight("w", 8, 3), weight("c", 5, 3)]), 2 * 5 * 8 * 3, 3 * 5 * 3),
    ("gemm-trans-a", model([node("Gemm", "x w", transA=1)], [tensor("x", 8, 5)], [weight("w", 8, 3)]), 240, 0),
    ("einsum", model([node("Einsum", "a b", equation="bij,bjk->bik")], [tensor("a", 2, 3, 4), tensor("b", 2, 4, 5)]),
     2 * 2 * 3 * 4 * 5, 0),
    ("conv", model([node("Conv", "x w b", pads=[1, 1, 1, 1])], [tensor("x", 2, 4, 8, 6)],
                   [weight("w", 7, 4, 3, 3), weight("b", 7)]), 2 * 2 * 7 * 8 * 6 * 4 * 9, 2 * 7 * 8 * 6),
    ("conv-one-sided", model([node("Conv", "x w", pads=[0, 0, 1, 1], strides=[2, 2])], [tensor("x", 1, 4, 8, 8)],
                             [weight("w", 4, 4, 3, 3)]), 2 * 4 * 4 * 4 * 4 * 9, 0),
    ("conv-same", model([node("Conv", "x w", auto_pad="SAME_UPPER", strides=[2, 2])], [tensor("x", 1, 4, 7, 9)],
                        [weight("w", 4, 4, 3, 3)]), 2 * 4 * 4 * 5 * 4 * 9, 0),
    ("conv-grouped-1d", model([node("Conv", "x w", group=4)], [tensor("x", 1, 8, 10)], [weight("w", 8, 2, 3)]),
     2 * 8 * 8 * 2 * 3, 0),
    ("conv-transpose", model([node("ConvTranspose", "x w", strides=[2, 2])], [tensor("x", 1, 4, 5, 5)],
                             [weight("w", 4, 6, 2, 2)]), 2 * 4 * 5 * 5 * 6 * 4, 0),
    ("nhwc-conv", model([node("NhwcConv", "x w", domain=MS)], [tensor("x", 1, 8, 6, 4)], [weight("w", 7, 1, 1, 4)]),
     2 * 7 * 8 * 6 * 4, 0),
    ("fused-conv", model([node("FusedConv", "x w b", domain=MS, activation="Relu")], [tensor("x", 1, 4, 8, 8)],
                         [weight("w", 4, 4, 1, 1), weight("b", 4)]), 2 * 4 * 64 * 4, 2 * 4 * 64),
    ("fused-matmul", model([node("FusedMatMul", "a b", domain=MS, transB=1, alpha=0.5)],
                           [tensor("a", 2, 3, 4), tensor("b", 2, 5, 4)]), 2 * 2 * 3 * 4 * 5, 2 * 3 * 5),
    ("fused-gemm", model([node("FusedGemm", "x w b", domain=MS, activation="Relu")], [tensor("x", 5, 8)],
                         [weight("w", 8, 3), weight("b", 3)]), 2 * 5 * 8 * 3, 2 * 5 * 3),
    ("matmul-integer", model([node("MatMulInteger", "x w")], [tensor("x", 5, 8, dtype=TensorProto.UINT8)],
                             [weight("w", 8, 3, dtype=np.uint8)]), 2 * 5 * 8 * 3, 0),
    ("matmul-nbits", model([node("MatMulNBits", "x w s", domain=MS, K=64, N=32, bits=4, block_size=32)],
                           [tensor("x", 2, 5, 64)], [weight("w", 32, 2, 16, dtype=np.uint8), weight("s", 64)]),
     2 * 2 * 5 * 64 * 32, 64 * 32),
]  # fmt: skip


@pytest.mark.parametrize(
    ("proto", "flops", "pointwise"), [c[1:] for c in CONTRACTIONS], ids=[c[0] for c in CONTRACTIONS]
)
def test_contractions(proto: onnx.ModelProto, flops: int, pointwise: int) -> None:
    assert total(graph_of(proto)) == (flops, pointwise)


N = 2 * 6 * 8
POINTWISE = [
    ("add", [node("Add", "x w")], "aten.add.Tensor", N),
    ("sqrt", [node("Sqrt", "x")], "aten.sqrt.default", N),
    ("pow", [node("Pow", "x two")], "aten.pow.Tensor_Scalar", N),
    ("rsub", [node("Sub", "two x")], "aten.rsub.Scalar", N),
    ("less", [node("Less", "two x")], "aten.gt.Scalar", N),
    ("clip", [node("Clip", "x two")], "aten.clamp.default", N),
    ("sigmoid", [node("Sigmoid", "x")], "aten.sigmoid.default", 4 * N),
    ("gelu", [node("Gelu", "x")], "aten.gelu.default", 5 * N),
    ("gelu-tanh", [node("Gelu", "x", approximate="tanh")], "aten.gelu.default", 9 * N),
    ("hard-sigmoid", [node("HardSigmoid", "x", alpha=1 / 6)], "aten.hardsigmoid.default", 4 * N),
    ("prelu", [node("PRelu", "x w")], "onnx.PRelu", 4 * N),
    ("softmax", [node("Softmax", "x")], "aten.softmax.int", 5 * N),
    ("mean", [node("ReduceMean", "x axes")], "aten.mean.dim", N + 12),
    ("layer-norm", [node("LayerNormalization", "x w b")], "aten.layer_norm.default", 7 * N + 4 * 12),
    ("rms-norm", [node("SimplifiedLayerNormalization", "x w")], "aten.rms_norm.default", 4 * N + 3 * 12),
    ("skip-layer-norm", [node("SkipLayerNormalization", "x x w b", domain=MS)],
     "com.microsoft.SkipLayerNormalization", 8 * N + 4 * 12),
    ("skip-layer-norm-bias", [node("SkipLayerNormalization", "x x w b b", domain=MS)],
     "com.microsoft.SkipLayerNormalization", 9 * N + 4 * 12),
    ("skip-rms-norm", [node("SkipSimplifiedLayerNormalization", "x x w", domain=MS)],
     "com.microsoft.SkipSimplifiedLayerNormalization", 5 * N + 3 * 12),
    ("bias-gelu", [node("BiasGelu", "x b", domain=MS)], "com.microsoft.BiasGelu", 6 * N),
    ("fast-gelu", [node("FastGelu", "x b", domain=MS)], "com.microsoft.FastGelu", 10 * N),
    ("quick-gelu", [node("QuickGelu", "x", domain=MS)], "com.microsoft.QuickGelu", 6 * N),
    ("ms-gelu", [node("Gelu", "x", domain=MS)], "com.microsoft.Gelu", 5 * N),
    ("bias-split-gelu", [node("BiasSplitGelu", "x b", domain=MS)], "com.microsoft.BiasSplitGelu", N + 6 * N // 2),
    ("bias-add", [node("BiasAdd", "x b x", domain=MS)], "com.microsoft.BiasAdd", 2 * N),
    ("quantize", [node("QuantizeLinear", "x scale")], "onnx.QuantizeLinear", 4 * N),
]  # fmt: skip


@pytest.mark.parametrize(("nodes", "target", "pointwise"), [c[1:] for c in POINTWISE], ids=[c[0] for c in POINTWISE])
def test_pointwise(nodes: list[onnx.NodeProto], target: str, pointwise: int) -> None:
    two = onnx.numpy_helper.from_array(np.array(2, dtype=np.float32), "two")
    scale = onnx.numpy_helper.from_array(np.array(0.5, dtype=np.float32), "scale")
    given = [weight("w", 8), weight("b", 8), two, scale, numbers("axes", -1)]
    found = costs(model(nodes, [tensor("x", 2, 6, 8)], given))[target]
    assert (found.flops, found.pointwise_flops) == (0, pointwise)


@pytest.mark.parametrize(("opset", "scales"), [(18, 4), (21, 8)], ids=["a-group", "a-channel"])
def test_group_norm_scales_a_group_before_operator_set_21(opset: int, scales: int) -> None:
    given = [weight("w", scales), weight("b", scales)]
    proto = model([node("GroupNormalization", "x w b", num_groups=4)], [tensor("x", 2, 8, 5, 5)], given, opset=opset)
    assert total(graph_of(proto)) == (0, 7 * 400 + 4 * 2 * 4)


def test_channels_last_group_norm() -> None:
    given = [weight("w", 8), weight("b", 8)]
    proto = model([node("GroupNorm", "x w b", domain=MS, groups=4, activation=1)], [tensor("x", 2, 5, 5, 8)], given)
    assert total(graph_of(proto)) == (0, 12 * 400 + 4 * 2 * 4)


MOVES = [
    ("reshape-keeps", [node("Reshape", "x sizes")], [numbers("sizes", 0, -1)], (2, 48)),
    ("flatten", [node("Flatten", "x", axis=2)], [], (12, 8)),
    ("transpose", [node("Transpose", "x")], [], (8, 6, 2)),
    ("slice", [node("Slice", "x a b c d")], [numbers("a", 1), numbers("b", 9), numbers("c", 2), numbers("d", 2)],
     (2, 6, 4)),
    ("slice-back", [node("Slice", "x a b c d")],
     [numbers("a", -1), numbers("b", -(2**31)), numbers("c", 1), numbers("d", -2)], (2, 3, 8)),
    ("split", [node("Split", "x", "y z", axis=1, num_outputs=2)], [], (2, 3, 8)),
    ("split-uneven", [node("Split", "x sizes", "y z", axis=2)], [numbers("sizes", 5, 3)], (2, 6, 5)),
    ("concat", [node("Concat", "x x", axis=-1)], [], (2, 6, 16)),
    ("tile", [node("Tile", "x r")], [numbers("r", 1, 2, 3)], (2, 12, 24)),
    ("expand", [node("Expand", "x sizes")], [numbers("sizes", 3, 1, 1, 1)], (3, 2, 6, 8)),
    ("unsqueeze", [node("Unsqueeze", "x axes")], [numbers("axes", 0, -1)], (1, 2, 6, 8, 1)),
    ("squeeze", [node("Unsqueeze", "x axes", "a"), node("Squeeze", "a axes")], [numbers("axes", 0)], (2, 6, 8)),
    ("pad", [node("Pad", "x p")], [numbers("p", 0, 1, 0, 0, 0, 2)], (2, 7, 10)),
    ("pad-edge", [node("Pad", "x p", mode="edge")], [numbers("p", 0, 0, 1, 0, 0, 2)], (2, 6, 11)),
    ("gather-one", [node("Gather", "x i", axis=1)], [onnx.numpy_helper.from_array(np.array(3), "i")], (2, 8)),
    ("gather-rows", [node("Gather", "x i", axis=1)], [numbers("i", 0, 2)], (2, 2, 8)),
    ("gather-known-one", [node("Gather", "x i", axis=1)], [numbers("i", 5)], (2, 1, 8)),
    ("argmax", [node("ArgMax", "x", axis=1, keepdims=0)], [], (2, 8)),
    ("cumsum", [node("CumSum", "x a")], [onnx.numpy_helper.from_array(np.array(1), "a")], (2, 6, 8)),
    ("top-k", [node("TopK", "x k", "y z")], [numbers("k", 3)], (2, 6, 3)),
    ("trilu", [node("Trilu", "x", upper=0)], [], (2, 6, 8)),
    ("scatter-nd", [node("ScatterND", "x i u")], [weight("i", 4, 2, dtype=np.int64), weight("u", 4, 8)], (2, 6, 8)),
]  # fmt: skip


@pytest.mark.parametrize(("nodes", "given", "shape"), [c[1:] for c in MOVES], ids=[c[0] for c in MOVES])
def test_moves_give_the_shape(
    nodes: list[onnx.NodeProto], given: list[onnx.TensorProto], shape: tuple[int, ...]
) -> None:
    graph = graph_of(model(nodes, [tensor("x", 2, 6, 8)], given))
    assert graph.by_name[graph.results[0]].out.shape == shape


IMAGES = [
    ("nearest", [node("Resize", "x - s", mode="nearest")], [weight("s", 4)], (1, 2, 9, 24)),
    ("sizes", [node("Resize", "x - - n", mode="linear")], [numbers("n", 1, 2, 9, 5)], (1, 2, 9, 5)),
    ("max-pool", [node("MaxPool", "x", kernel_shape=[2, 2], strides=[2, 2])], [], (1, 2, 1, 3)),
    ("max-pool-uneven", [node("MaxPool", "x", kernel_shape=[2, 2], pads=[0, 0, 1, 1])], [], (1, 2, 3, 6)),
    ("average-pool", [node("AveragePool", "x", kernel_shape=[3, 3], pads=[1, 1, 1, 1])], [], (1, 2, 3, 6)),
    ("global", [node("GlobalAveragePool", "x")], [], (1, 2, 1, 1)),
    ("space-to-depth", [node("SpaceToDepth", "x", blocksize=3)], [], (1, 18, 1, 2)),
]  # fmt: skip


@pytest.mark.parametrize(("nodes", "given", "shape"), [c[1:] for c in IMAGES], ids=[c[0] for c in IMAGES])
def test_resampling_gives_the_shape(
    nodes: list[onnx.NodeProto], given: list[onnx.TensorProto], shape: tuple[int, ...]
) -> None:
    if nodes[0].op_type == "Resize" and given[0].name == "s":
        given = [onnx.numpy_helper.from_array(np.array([1, 1, 3, 4], dtype=np.float32), "s")]
    graph = graph_of(model(nodes, [tensor("x", 1, 2, 3, 6)], given))
    assert graph.by_name[graph.results[0]].out.shape == shape


def test_depth_to_space_in_both_orders() -> None:
    for mode, target in (("CRD", "aten.pixel_shuffle.default"), ("DCR", "aten.permute.default")):
        graph = graph_of(model([node("DepthToSpace", "x", blocksize=2, mode=mode)], [tensor("x", 1, 8, 3, 5)]))
        assert graph.by_name[graph.results[0]].out.shape == (1, 2, 6, 10)
        assert target in targets(graph)


def test_rows_of_a_table_are_an_embedding() -> None:
    ids = tensor("ids", 2, 7, dtype=TensorProto.INT64)
    found = costs(model([node("Gather", "w ids")], [ids], [weight("w", 100, 16)]))["aten.embedding.default"]
    assert (found.bytes_read, found.bytes_written) == (2 * 7 * 16 * 4 + 2 * 7 * 8, 2 * 7 * 16 * 4)


def test_a_packed_weight_keeps_the_bytes_it_has() -> None:
    packed = onnx.helper.make_tensor("w", TensorProto.INT4, (8, 6), bytes(24), raw=True)
    proto = model([node("DequantizeLinear", "w s", "d"), node("MatMul", "x d")], [tensor("x", 5, 8)],
                  [packed, weight("s", 6)], opset=21)  # fmt: skip
    graph = graph_of(proto)
    assert sum(w.out.nbytes for w in graph.weights) == 24 + 6 * 4
    assert costs(proto)["onnx.DequantizeLinear"].bytes_read == 24 + 6 * 4
    assert total(graph) == (2 * 5 * 8 * 6, 48)


def test_rotary_embedding() -> None:
    given = [tensor("x", 2, 4, 7, 8), tensor("c", 2, 7, 4), tensor("s", 2, 7, 4)]
    assert total(graph_of(model([node("RotaryEmbedding", "x c s")], given, opset=23))) == (0, 3 * 2 * 4 * 7 * 8)
    positions = tensor("p", 2, 7, dtype=TensorProto.INT64)
    proto = model([node("RotaryEmbedding", "x p c s", domain=MS, num_heads=4, rotary_embedding_dim=4)],
                  [tensor("x", 2, 7, 32), positions], [weight("c", 50, 2), weight("s", 50, 2)])  # fmt: skip
    assert total(graph_of(proto)) == (0, 3 * 2 * 7 * 16)
    assert costs(proto)["onnx.RotaryEmbedding"].bytes_read == 2 * 7 * 32 * 4 + 2 * 7 * 2 * 4 + 2 * 7 * 8
