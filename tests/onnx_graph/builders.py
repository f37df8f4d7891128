"""Small ONNX models built node by node, and what reading them gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from graphlab.costing import node_costs
from graphlab.facts import NodeCost
from graphlab.graph import Graph
from graphlab.onnx_graph import OnnxRead, read_onnx

F32 = TensorProto.FLOAT
Size = int | str


def tensor(name: str, *shape: Size, dtype: int = F32) -> onnx.ValueInfoProto:
    """An input or output."""
    return helper.make_tensor_value_info(name, dtype, shape)


def weight(name: str, *shape: int, dtype: Any = np.float32) -> onnx.TensorProto:
    """An initializer whose values do not matter."""
    values = np.arange(1, 1 + int(np.prod(shape))).reshape(shape).astype(dtype)
    return numpy_helper.from_array(values, name)


def numbers(name: str, *values: int) -> onnx.TensorProto:
    """An initializer of integers that do matter."""
    return numpy_helper.from_array(np.array(values, dtype=np.int64), name)


def node(kind: str, inputs: str, outputs: str = "y", domain: str = "", **attributes: Any) -> onnx.NodeProto:
    """A node; inputs and outputs are names between spaces, "-" for one left out."""
    given = ["" if name == "-" else name for name in inputs.split()]
    made = ["" if name == "-" else name for name in outputs.split()]
    return helper.make_node(kind, given, made, domain=domain, **attributes)


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    weights: Sequence[onnx.TensorProto] = (),
    outputs: Sequence[str] = ("y",),
    opset: int = 20,
    functions: Sequence[onnx.FunctionProto] = (),
) -> onnx.ModelProto:
    """A model whose outputs have no stated shape."""
    made = [onnx.ValueInfoProto(name=name, type=helper.make_tensor_type_proto(F32, None)) for name in outputs]
    graph = helper.make_graph(list(nodes), "main_graph", list(inputs), made, list(weights))
    sets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1), helper.make_opsetid("own", 1)]
    return helper.make_model(graph, opset_imports=sets, functions=list(functions), ir_version=10)


def read(proto: onnx.ModelProto, inputs: Mapping[str, str] | None = None) -> OnnxRead:
    """What graphlab reads of the model."""
    return read_onnx(memoryview(proto.SerializeToString()), "m.onnx", inputs or {})


def graph_of(proto: onnx.ModelProto, **values: int) -> Graph:
    """Its graph at `values` ({"x_d0": 4}), axes with an underscore for the dot; at its defaults otherwise."""
    found = read(proto)
    at = {symbol: values.get(symbol.replace(".", "_"), found.defaults[symbol]) for symbol in found.defaults}
    return found.program.graph.at(at)


def costs(proto: onnx.ModelProto, **values: int) -> dict[str, NodeCost]:
    """{target of a call: its cost}; targets are told apart, moves left out."""
    graph = graph_of(proto, **values)
    found = node_costs(graph)
    return {call.target: found[call.name] for call in graph.calls}


def total(graph: Graph) -> tuple[int, int]:
    """(FLOPs of contractions, pointwise FLOPs) of a graph of integer sizes."""
    found = node_costs(graph).values()
    return sum(cost.flops or 0 for cost in found), sum(cost.pointwise_flops or 0 for cost in found)


def targets(graph: Graph) -> Counter[str]:
    """{operator: how often}."""
    return Counter(call.target for call in graph.calls)


def save(proto: onnx.ModelProto, path: Path) -> Path:
    """Writes the model and returns where."""
    path.write_bytes(proto.SerializeToString())
    return path
