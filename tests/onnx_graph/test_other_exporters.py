"""What exporters other than torch's write: names of sizes that are no words, padding by shape, narrow integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from graphlab.errors import SourceError
from graphlab.onnx_graph.value import KNOWN_LIMIT
from graphlab.onnx_graph.wire import KEPT_BYTES
from tests.onnx_graph.builders import costs, graph_of, model, node, numbers, read, targets, tensor, total, weight

NAMES = ["DynamicDimension.0", "x.1_dynamic_axes_1", "p2o.DynamicDimension.0", "in", "max", "a b", "lambda", "1"]


@pytest.mark.parametrize("name", NAMES)
def test_sizes_whose_names_are_no_words(name: str) -> None:
    found = read(model([node("Add", "x z")], [tensor("x", name, 3), tensor("z", name, 3)]))
    assert set(found.defaults) == {"x.d0"}
    assert found.program.graph.by_name["z"].out.shape == ("x.d0", 3)


def test_a_leading_size_an_exporter_named_is_a_batch() -> None:
    for name in ("DynamicDimension.0", "input_dynamic_axes_1", "unk__7"):
        assert read(model([node("Relu", "x")], [tensor("x", name, 3)])).defaults == {"x.d0": 1}


def test_a_fraction_of_a_size_is_rounded_down() -> None:
    proto = model([node("Relu", "z")], [tensor("x", "height", 3), tensor("z", "height/8", 3)])
    assert graph_of(proto).by_name["z"].out.shape == (8, 3)
    assert graph_of(proto, x_d0=20).by_name["z"].out.shape == (2, 3)


def test_given_shapes_agree_with_arithmetic_in_the_file() -> None:
    given = [tensor("x", "new", 8), tensor("mask", "old + new", 1), tensor("past", "old", 8)]
    proto = model([node("Concat", "past x", "all", axis=0), node("Add", "all mask")], given)
    with pytest.raises(SourceError, match=r"'mask' is old \+ new in the file, so 7, --input gives 9"):
        read(proto, {"x": "4x8", "past": "3x8", "mask": "9x1"})
    assert read(proto, {"x": "4x8", "past": "3x8", "mask": "7x1"}).defaults == {"x.d0": 4, "past.d0": 3}


@pytest.mark.parametrize("size", [511, 577, KNOWN_LIMIT])
def test_integers_that_are_followed_are_read_whole(size: int) -> None:
    """A table of 577 int64, as vision encoders have of their positions, is longer than weights that are left out."""
    table, last = numpy_helper.from_array(np.arange(size), "p"), numbers("last", size - 1)
    used = [node("Gather", "p last", "n"), node("Expand", "one n")]
    made = helper.make_node("Constant", [], ["p"], value=table)
    for nodes, given in ((used, [table]), ([made, *used], [])):
        graph = graph_of(model(nodes, [tensor("x", 1)], [*given, last, weight("one", 1)]))
        assert graph.by_name[graph.results[0]].out.shape == (size - 1,)


def test_values_a_file_does_not_hold_are_not_taken_for_zeros() -> None:
    bare = onnx.TensorProto(name="n", data_type=TensorProto.INT64, dims=[1])
    with pytest.raises(SourceError, match="computed from data"):
        read(model([node("Expand", "one n")], [tensor("x", 1)], [bare, weight("one", 1)]))


def test_what_is_followed_is_kept_in_every_spelling() -> None:
    """A negative int8 takes ten bytes in protobuf."""
    table = helper.make_tensor("p", TensorProto.INT8, [KNOWN_LIMIT], [-1] * KNOWN_LIMIT)
    assert len(table.SerializeToString()) > KEPT_BYTES
    proto = model([node("Cast", "p", "q", to=TensorProto.FLOAT), node("Add", "x q")], [tensor("x", 1)], [table])
    assert graph_of(proto).by_name["y"].out.shape == (KNOWN_LIMIT,)


def test_a_file_without_weights_is_read() -> None:
    bare = onnx.TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[8, 3])
    proto = model([node("MatMul", "x w")], [tensor("x", 2, 8)], [bare])
    assert total(graph_of(proto)) == (2 * 2 * 8 * 3, 0)


def shape_in_runtime(proto: onnx.ModelProto, **given: Any) -> tuple[int, ...]:
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return tuple(session.run(None, given)[0].shape)


TRANSPOSED: list[dict[str, Any]] = [
    {"pads": [1, 1, 0, 0], "strides": [2, 2]},
    {"pads": [0, 1, 2, 0], "strides": [2, 3]},
    {"auto_pad": "SAME_LOWER", "strides": [2, 2]},
    {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
    {"auto_pad": "SAME_UPPER", "strides": [4, 4]},
    {"auto_pad": "VALID", "strides": [2, 2], "dilations": [2, 2]},
    {"output_shape": [10, 14], "strides": [2, 3]},
    {"output_shape": [9, 15], "strides": [2, 3], "auto_pad": "SAME_UPPER"},
    {"pads": [1, 1, 1, 1], "strides": [2, 2], "output_padding": [1, 1]},
]


@pytest.mark.parametrize("options", TRANSPOSED, ids=lambda options: "-".join(map(str, options.values())))
def test_a_transposed_convolution_has_the_shape_it_has_in_onnx_runtime(options: dict[str, Any]) -> None:
    proto = model([node("ConvTranspose", "x w", **options)], [tensor("x", 1, 4, 5, 5)], [weight("w", 4, 6, 3, 3)])
    graph = graph_of(proto)
    expected = shape_in_runtime(proto, x=np.zeros((1, 4, 5, 5), np.float32))
    assert graph.by_name[graph.results[0]].out.shape == expected
    assert total(graph)[0] == 2 * 4 * 25 * 6 * 9


@pytest.mark.parametrize("size", [7, 8])
def test_quotients_of_sizes_are_cut_off_towards_zero(size: int) -> None:
    """-(-h // 2) in an exporter's arithmetic, where Python would round down."""
    scalars = [helper.make_tensor(name, TensorProto.INT64, [1], [v]) for name, v in (("two", 2), ("axis", 0))]
    nodes = [node("Shape", "x", "s"), node("Gather", "s axis", "h"), node("Neg", "h", "m"), node("Div", "m two", "q"),
             node("Neg", "q", "c"), node("Expand", "one c")]  # fmt: skip
    proto = model(nodes, [tensor("x", "height")], [*scalars, weight("one", 1)])
    expected = shape_in_runtime(proto, x=np.zeros(size, np.float32))
    graph = graph_of(proto, x_d0=size)
    assert graph.by_name[graph.results[0]].out.shape == expected == (size // 2,)


INT32 = TensorProto.INT32
NARROW = [
    ("sum", [node("ReduceSum", "i axes", keepdims=0)], "int32", (2,)),
    ("prod", [node("ReduceProd", "i axes", keepdims=0)], "int32", (2,)),
    ("mean", [node("ReduceMean", "i axes", keepdims=0)], "int32", (2,)),
    ("cumsum", [node("CumSum", "i one")], "int32", (2, 4)),
]  # fmt: skip


@pytest.mark.parametrize(("nodes", "dtype", "shape"), [n[1:] for n in NARROW], ids=[n[0] for n in NARROW])
def test_narrow_integers(nodes: list[onnx.NodeProto], dtype: str, shape: tuple[int, ...]) -> None:
    given = [tensor("i", 2, 4, dtype=INT32)]
    one = numpy_helper.from_array(np.array(1), "one")
    graph = graph_of(model(nodes, given, [numbers("axes", 1), one]))
    out = graph.by_name[graph.results[0]].out
    assert (out.shape, out.dtype) == (shape, dtype)
    assert all(cost.flops is not None for cost in costs(model(nodes, given, [numbers("axes", 1), one])).values())


def test_quantised_convolutions() -> None:
    flops, pixels = 2 * 7 * 8 * 6 * 4 * 9, 4 * 8 * 6
    x, w = tensor("x", 1, 4, 8, 6, dtype=TensorProto.UINT8), weight("w", 7, 4, 3, 3, dtype=np.uint8)
    zero = numpy_helper.from_array(np.array(3, np.uint8), "z")
    scale = numpy_helper.from_array(np.array(0.5, np.float32), "s")
    proto = model([node("ConvInteger", "x w z", pads=[1, 1, 1, 1])], [x], [w, zero])
    assert total(graph_of(proto)) == (flops, pixels)
    bias = numpy_helper.from_array(np.arange(7, dtype=np.int32), "b")
    proto = model([node("QLinearConv", "x s z w s z s z b", pads=[1, 1, 0, 0])], [x], [w, zero, scale, bias])
    graph = graph_of(proto)
    assert graph.by_name[graph.results[0]].out.dtype == "uint8"
    assert total(graph)[0] == 2 * 7 * 7 * 5 * 4 * 9


def test_outputs_of_an_unknown_operator_that_are_left_out_need_no_shape() -> None:
    weights = [weight("w", 1, 16, 8), weight("r", 1, 16, 4)]
    proto = model([node("LSTM", "x w r", "- h -", hidden_size=4), node("Relu", "h")], [tensor("x", 5, 2, 8)], weights)
    proto.graph.value_info.append(tensor("h", 1, 2, 4))
    graph = graph_of(proto)
    assert graph.by_name[graph.results[0]].out.shape == (1, 2, 4)


def test_what_no_size_mends_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from graphlab.onnx_graph import read as module

    tried: list[object] = []
    once = module._trace

    def counted(*arguments: Any) -> Any:
        tried.append(arguments)
        return once(*arguments)

    monkeypatch.setattr(module, "_trace", counted)
    proto = model([node("Strange", "x", "h", domain="own"), node("Relu", "h")], [tensor("x", "n", "m", 4)])
    with pytest.raises(SourceError, match="Strange"):
        read(proto)
    assert len(tried) == 1


def test_functions_of_the_standard_are_written_out_wherever_they_stand() -> None:
    norm = node("MeanVarianceNormalization", "a", "b", axes=[0, 1])
    body = helper.make_function("own", "Norm", ["a"], ["b"], [norm], [helper.make_opsetid("", 20)])
    proto = model([node("Norm", "x", domain="own")], [tensor("x", 4, 8)], functions=[body])
    assert targets(graph_of(proto))["aten.mean.dim"] == 2
    inner = helper.make_graph([node("MeanVarianceNormalization", "x", "t", axes=[0, 1])], "g", [], [tensor("t", 4, 8)])
    rank = [node("Shape", "x", "s"), node("Gather", "s zero", "n"), node("Equal", "n four", "c")]
    branch = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    scalars = [numpy_helper.from_array(np.array(value), name) for value, name in ((0, "zero"), (4, "four"))]
    assert targets(graph_of(model([*rank, branch], [tensor("x", 4, 8)], scalars)))["aten.mean.dim"] == 2


def test_an_empty_list_of_axes_reduces_all() -> None:
    """Of sizes that are known, as of tensors."""
    none = numpy_helper.from_array(np.array([], dtype=np.int64), "none")
    nodes = [node("Shape", "x", "s"), node("ReduceProd", "s none", "n", keepdims=0), node("Unsqueeze", "n zero", "m"),
             node("Expand", "one m")]  # fmt: skip
    graph = graph_of(model(nodes, [tensor("x", 3, 5)], [none, numbers("zero", 0), weight("one", 1)]))
    assert graph.by_name[graph.results[0]].out.shape == (15,)


def test_infinities_on_the_way_to_an_index_are_no_error() -> None:
    """T5 takes the logarithm of distances between positions, 0 among them, and drops what it is of those."""
    table = numpy_helper.from_array(np.array([0.0, 1.0, -1.0], dtype=np.float32), "d")
    distances = helper.make_node("Constant", [], ["d"], value=table)
    zero = helper.make_node("Constant", [], ["o"], value_float=0.0)
    nodes = [distances, zero, node("Log", "d", "l"), node("Sqrt", "d", "r"), node("Div", "d o", "q"),
             node("Add", "l r", "a"), node("Add", "a q", "b"), node("Cast", "b", "i", to=TensorProto.INT64),
             node("Gather", "w i", "rows"), node("Add", "rows x")]  # fmt: skip
    graph = graph_of(model(nodes, [tensor("x", 3, 4)], [weight("w", 9, 4)]))
    assert graph.by_name[graph.results[0]].out.shape == (3, 4)
    assert targets(graph)["aten.log.default"] == 1


def test_the_standard_under_its_other_name() -> None:
    norm = node("GroupNormalization", "x w b", num_groups=4)
    proto = model([norm], [tensor("x", 2, 8, 5, 5)], [weight("w", 8), weight("b", 8)], opset=21)
    proto.opset_import[0].domain = proto.graph.node[0].domain = "ai.onnx"
    assert targets(graph_of(proto)) == {"aten.group_norm.default": 1}
