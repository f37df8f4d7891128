"""Sizes: free ones as variables, arithmetic on shapes, what is assumed, what is given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import graphlab
from graphlab.errors import BindingError, SourceError
from graphlab.loading import load
from tests.onnx_graph.builders import graph_of, model, node, numbers, read, save, targets, tensor, total, weight


def heads_by_shape_arithmetic() -> onnx.ModelProto:
    """x (batch, tokens, 32) to (batch, tokens, 4, 8) as older exporters write it: sizes read one by one."""
    axes, zero = numbers("axes", 0), helper.make_tensor("zero", TensorProto.INT64, (), [0])
    one = helper.make_tensor("one", TensorProto.INT64, (), [1])
    nodes = [
        node("Shape", "x", "s0"), node("Gather", "s0 zero", "b"), node("Unsqueeze", "b axes", "b1"),
        node("Shape", "x", "s1"), node("Gather", "s1 one", "t"), node("Mul", "t one", "t0"),
        node("Unsqueeze", "t0 axes", "t1"), node("Concat", "b1 t1 four minus", "sizes", axis=0),
        node("Reshape", "x sizes"),
    ]  # fmt: skip
    given = [axes, zero, one, numbers("four", 4), numbers("minus", -1)]
    return model(nodes, [tensor("x", "batch", "tokens", 32)], given)


def test_shape_arithmetic_is_no_part_of_the_graph() -> None:
    graph = read(heads_by_shape_arithmetic()).program.graph
    assert targets(graph) == {"aten.reshape.default": 1}
    assert graph.weights == ()
    assert graph.by_name[graph.results[0]].out.shape == ("x.d0", "x.d1", 4, 8)


def test_free_sizes_are_variables_under_the_files_names(tmp_path: Path) -> None:
    nodes = [node("Conv", "x w", "h", strides=[2, 2], pads=[1, 1, 1, 1]), node("Relu", "h")]
    proto = model(nodes, [tensor("x", "batch", 4, "height", "s5")], [weight("w", 8, 4, 3, 3)])
    workload = load(save(proto, tmp_path / "m.onnx"))
    assert workload.values() == {"batch": 1, "height": 64, "x.w": 64}
    report = graphlab.analyze(workload.bind({"height": 33, "batch": 3}))
    assert report.stages[0].flops_per_step == 2 * 3 * 8 * 17 * 32 * 4 * 9


def test_what_is_assumed_is_said() -> None:
    nodes = [node("MatMul", "x w")]
    found = read(model(nodes, [tensor("x", "batch", "tokens", 8)], [weight("w", 8, 3)]))
    assert found.assumptions == ("m.onnx does not say its free sizes: batch = 1, tokens = 64",)
    told = read(model(nodes, [tensor("x", "batch", "tokens", 8)], [weight("w", 8, 3)]), {"x": "5x7x8:float32"})
    assert (told.assumptions, told.defaults) == ((), {"x.d0": 5, "x.d1": 7})


def test_a_size_the_model_takes_is_looked_for() -> None:
    nodes = [node("Reshape", "x sizes", "r"), node("Add", "r table")]
    given = [numbers("sizes", 0, -1, 8), weight("table", 16 * 16, 8)]
    found = read(model(nodes, [tensor("x", "batch", 8, "side", "side")], given))
    assert found.defaults == {"x.d0": 1, "x.d2": 16}


def test_arithmetic_between_inputs() -> None:
    nodes = [node("Concat", "past x", "all", axis=1), node("Add", "all mask")]
    given = [tensor("x", "batch", "new", 8), tensor("past", "batch", "old", 8), tensor("mask", "batch", "old + new", 1)]
    graph = read(model(nodes, given)).program.graph
    assert graph.by_name["mask"].out.shape == ("x.d0", "past.d1 + x.d1", 1)


def test_an_operator_that_ties_sizes_makes_them_one() -> None:
    found = read(model([node("Add", "a b")], [tensor("a", "n", "p", 4), tensor("b", "n", "q", 4)]))
    graph = found.program.graph
    assert set(graph.symbols) == {"a.d0", "a.d1"}
    assert graph.by_name["b"].out.shape == ("a.d0", "a.d1", 4)


def test_a_size_that_is_read_at_one_value_alone_is_fixed() -> None:
    found = read(model([node("Add", "a w")], [tensor("a", "n", "p", 4)], [weight("w", 16, 4)]))
    assert found.program.graph.by_name["a"].out.shape == ("a.d0", 16, 4)


def test_growing_sizes_are_checked_against_the_conditions(tmp_path: Path) -> None:
    nodes = [node("Reshape", "x sizes")]
    proto = model(nodes, [tensor("x", "tokens", 3)], [numbers("sizes", -1, 6)])
    path = save(proto, tmp_path / "m.onnx")
    assert graphlab.analyze(str(path), tokens=10).stages[0].flops_per_step == 0
    with pytest.raises(BindingError, match="which these sizes break"):
        graphlab.analyze(str(path), tokens=11)


def test_a_branch_on_a_known_condition_is_taken() -> None:
    then = helper.make_graph([node("Relu", "x", "t")], "then", [], [tensor("t", 2, 8)])
    other = helper.make_graph([node("MatMul", "x w", "e")], "else", [], [tensor("e", 2, 3)])
    rank = [node("Shape", "x", "s"), node("Gather", "s zero", "n"), node("Equal", "n two", "c")]
    branch = helper.make_node("If", ["c"], ["y"], then_branch=then, else_branch=other)
    scalars = [numpy_helper.from_array(np.array(v), name) for v, name in ((0, "zero"), (3, "two"))]
    graph = graph_of(model([*rank, branch], [tensor("x", 2, 8)], [weight("w", 8, 3), *scalars]))
    assert (total(graph)[0], targets(graph)) == (96, {"aten.matmul.default": 1})


def test_functions_are_inlined() -> None:
    body = helper.make_function("own", "Twice", ["a"], ["b"], [node("Add", "a a", "b")], [helper.make_opsetid("", 20)])
    calls = [node("Twice", "x", "h", domain="own"), node("Twice", "h", domain="own")]
    proto = model(calls, [tensor("x", 2, 8)], functions=[body])
    assert targets(graph_of(proto)) == {"aten.add.Tensor": 2}
    norm = model([node("MeanVarianceNormalization", "x", axes=[0, 1])], [tensor("x", 4, 8)])
    assert targets(graph_of(norm))["aten.mean.dim"] == 2


def test_modules_and_lines_come_from_the_exporter() -> None:
    made = node("Relu", "x")
    for key, value in (
        ("name_scopes", "['', 'blocks.0', 'blocks.0.act', 'relu']"),
        ("class_hierarchy", "['pkg.Net', 'pkg.Block', 'torch.nn.ReLU', 'aten.relu.default']"),
        ("stack_trace", 'File "/x/site-packages/pkg/net.py", line 7, in forward\n'),
    ):
        made.metadata_props.add(key=f"pkg.torch.onnx.{key}", value=value)
    (call,) = graph_of(model([made], [tensor("x", 2)])).calls
    assert call.modules == (("", "pkg.Net"), ("blocks.0", "pkg.Block"), ("blocks.0.act", "torch.nn.ReLU"))
    assert call.source == "pkg/net.py:7"
    old = node("Relu", "x", name="/blocks.0/act/Relu")
    (call,) = graph_of(model([old], [tensor("x", 2)])).calls
    assert [path for path, _ in call.modules] == ["", "blocks.0", "blocks.0.act"]


def test_a_length_computed_from_data_is_refused() -> None:
    proto = model([node("NonZero", "x")], [tensor("x", 4)])
    with pytest.raises(SourceError, match="NonZero"):
        read(proto)
    sizes = tensor("n", 2, dtype=TensorProto.INT64)
    with pytest.raises(SourceError, match="computed from data"):
        read(model([node("Reshape", "x n")], [tensor("x", 4), sizes]))
