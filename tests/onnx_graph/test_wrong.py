"""Files that are damaged, hostile, or not what graphlab reads: one line each, and nothing run or opened."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import graphlab
from graphlab.errors import GraphlabError, OpRuleError, SourceError
from graphlab.loading import load
from graphlab.onnx_graph.wire import KEPT_BYTES, without_weights
from tests.onnx_graph.builders import graph_of, model, node, numbers, read, save, tensor, total, weight

PLAIN = model([node("MatMul", "x w", "h"), node("Relu", "h")], [tensor("x", 2, 64)], [weight("w", 64, 64)])


def test_weights_are_left_out_and_their_shapes_kept() -> None:
    data = PLAIN.SerializeToString()
    small = without_weights(memoryview(data), "m.onnx")
    assert len(data) > 64 * 64 * 4 > KEPT_BYTES > len(small)
    proto = onnx.ModelProto.FromString(small)
    assert (list(proto.graph.initializer[0].dims), proto.graph.initializer[0].raw_data) == ([64, 64], b"")
    assert total(graph_of(PLAIN)) == (2 * 2 * 64 * 64, 2 * 64)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.999])
def test_truncated(share: float) -> None:
    data = PLAIN.SerializeToString()
    with pytest.raises(SourceError, match=r"m\.onnx"):
        read_bytes(data[: int(len(data) * share)])


def read_bytes(data: bytes) -> None:
    from graphlab.onnx_graph import read_onnx

    read_onnx(memoryview(data), "m.onnx", {})


def test_damaged_bytes_are_an_error_or_a_model_and_nothing_else() -> None:
    data = bytearray(model([node("Relu", "x")], [tensor("x", 2, 3)]).SerializeToString())
    for at in range(0, len(data), 3):
        broken = bytearray(data)
        broken[at] ^= 0xFF
        with contextlib.suppress(SourceError):
            read_bytes(bytes(broken))


WRONG = [
    ("nobody-makes-it", model([node("Add", "x gone")], [tensor("x", 2)]), "nothing makes the value 'gone'"),
    ("no-output", model([node("Relu", "x")], [tensor("x", 2)], outputs=["z"]), "nothing makes the value 'z'"),
    ("cycle", model([node("Add", "x b", "a"), node("Relu", "a", "b")], [tensor("x", 2)], outputs=["b"]), "no sound"),
    ("made-twice", model([node("Relu", "x"), node("Relu", "x")], [tensor("x", 2)]), "makes the value 'y' twice"),
    ("sizes-clash", model([node("MatMul", "x w")], [tensor("x", 2, 9)], [weight("w", 8, 3)]), "MatMul 'y' does not"),
    ("negative", model([node("Relu", "x")], [tensor("x", -3)]), "axis of size -3"),
    ("huge", model([node("Relu", "x")], [tensor("x", 2**50)]), "axis of size"),
    ("missing-input", model([node("Conv", "x")], [tensor("x", 2, 3, 4, 4)]), "Conv 'y' has no input 1"),
    ("no-heads", model([node("MultiHeadAttention", "x x x", domain="com.microsoft")], [tensor("x", 2, 3, 8)]),
     "no number of heads"),
    ("string", model([node("Identity", "x")], [tensor("x", 2, dtype=TensorProto.STRING)]), "element type STRING"),
    ("size-overflow", model([node("Mul", "big big", "n"), node("Expand", "x n")], [tensor("x", 1)],
                            [numbers("big", 2**62)]), "no integer of ONNX holds"),
    ("training", model([node("BatchNormalization", "x s s s s", training_mode=1)], [tensor("x", 2, 3, 4, 4)],
                       [weight("s", 3)]), "training mode"),
    ("empty", onnx.ModelProto(ir_version=10), "without a graph"),
]  # fmt: skip


@pytest.mark.parametrize(("proto", "message"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_wrong_graphs(proto: onnx.ModelProto, message: str) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        read(proto)
    assert "\n" not in str(caught.value)


def test_shapes_that_do_not_fit_the_inputs() -> None:
    proto = model([node("Relu", "x")], [tensor("x", "batch", 3)])
    for text, message in (("2x4", "is 3 in the file"), ("2x3x1", "has 2 axes"), ("2x3:float16", "is float32")):
        with pytest.raises(SourceError, match=message):
            read(proto, {"x": text})
    with pytest.raises(SourceError, match="did you mean 'x'"):
        read(proto, {"xx": "2x3"})


def unknown(with_shape: bool) -> onnx.ModelProto:
    proto = model([node("Strange", "x", "h", domain="own"), node("Relu", "h")], [tensor("x", "batch", 8)])
    if with_shape:
        proto.graph.value_info.append(tensor("h", "batch", 4))
    return proto


def test_an_unknown_operator_is_reported_and_never_nothing(tmp_path: Path) -> None:
    path = str(save(unknown(True), tmp_path / "m.onnx"))
    stage = graphlab.analyze(path).stages[0]
    (entry,) = stage.unknown
    assert (stage.flops_per_step, stage.unknown_nodes) == (0, 1)  # of the other call, which is no contraction
    assert stage.to_dict()["categories"]["other"]["flops"] is None
    assert (entry.op, graph_of(unknown(True), x_d0=5).by_name["y"].out.shape) == ("own.Strange", (5, 4))
    with pytest.raises(OpRuleError, match=r"own\.Strange"):
        graphlab.analyze(path, strict=True)


def test_an_unknown_operator_of_unknown_shape_is_named() -> None:
    with pytest.raises(SourceError, match=r"own\.Strange 'h', and the file does not say the shape"):
        read(unknown(False))


def test_external_data_is_not_opened(tmp_path: Path) -> None:
    outside = helper.make_tensor("w", TensorProto.FLOAT, (64, 64), np.zeros(64 * 64, np.float32).tobytes(), raw=True)
    outside.ClearField("raw_data")
    outside.data_location = TensorProto.EXTERNAL
    outside.external_data.add(key="location", value="/etc/../proc/self/mem")
    again = onnx.TensorProto()
    again.CopyFrom(outside)
    again.name = "tied"
    proto = model([node("MatMul", "x w", "h"), node("MatMul", "h tied")], [tensor("x", 2, 64)], [outside, again])
    graph = graph_of(proto)
    assert total(graph)[0] == 2 * 2 * 2 * 64 * 64
    assert [(w.name, w.kind) for w in graph.nodes if w.kind in ("parameter", "tied")] == [
        ("w", "parameter"),
        ("tied", "tied"),
    ]
    report = graphlab.analyze(str(save(proto, tmp_path / "m.onnx")))
    assert report.stages[0].parameters == 64 * 64


def test_other_commands_refuse(tmp_path: Path) -> None:
    path = str(save(PLAIN, tmp_path / "m.onnx"))
    for command in (graphlab.rewrite, graphlab.profile):
        with pytest.raises(GraphlabError, match=r"no exported program|only known by its graph"):
            command(path)


def test_runtime_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"\x20\0\0\0ORTM" + bytes(64))
    with pytest.raises(SourceError, match=r"\(\.ort\)"):
        load(path)


def test_five_thousand_nodes() -> None:
    nodes = [node("Relu" if i % 2 else "MatMul", f"v{i}" + ("" if i % 2 else " w"), f"v{i + 1}") for i in range(5000)]
    proto = model(nodes, [tensor("v0", "batch", 8)], [weight("w", 8, 8)], outputs=["v5000"])
    graph = graph_of(proto, v0_d0=3)
    assert (len(graph.calls), total(graph)) == (5000, (2500 * 2 * 3 * 64, 2500 * 24))


def field(number: int, payload: bytes) -> bytes:
    """A length-delimited field."""
    length, head = len(payload), bytearray()
    while length >= 0x80:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([number << 3 | 2, *head, length]) + payload


def test_deep_nesting_is_refused() -> None:
    graph = field(10, bytes(KEPT_BYTES + 1))
    for _ in range(100):
        graph = field(1, field(5, field(6, graph)))  # a graph in an attribute of a node
    with pytest.raises(SourceError, match="nests graphs"):
        read_bytes(b"\x08\x0a" + field(7, graph))
