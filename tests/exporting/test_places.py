"""Every ONNX node says where it comes from, and saying so changes nothing that computes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import graphlab
from graphlab.exporting.places import place_of, say_places
from graphlab.exporting.targets import target_named
from graphlab.exporting.translate import to_onnx
from graphlab.graph import Graph, Node


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.proj = nn.LayerNorm(8), nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.nn.functional.gelu(self.proj(self.norm(x)))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block(), Block()])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = block(x)
        return x


@pytest.fixture(scope="module")
def model() -> Any:
    program = graphlab.capture(Net().eval(), (torch.ones(2, 3, 8),), dynamic=False)
    return to_onnx(program, target_named("standard")).model


def test_every_node_names_its_module_its_class_and_its_line(model: Any) -> None:
    said = {node.op_type: node.doc_string for node in model.graph}
    assert said["LayerNormalization"].startswith("blocks.1.norm (LayerNorm), ")
    assert said["Gelu"].startswith("blocks.1 (Block), ")
    assert all(node.doc_string and "test_places.py:" in node.doc_string for node in model.graph)


def test_only_the_text_differs(model: Any) -> None:
    import onnx_ir as ir

    before = [(node.name, node.op_type, [value.name for value in node.outputs]) for node in model.graph]
    metadata = [dict(node.metadata_props) for node in model.graph]
    say_places(model, Graph((), ()))
    assert [(node.name, node.op_type, [value.name for value in node.outputs]) for node in model.graph] == before
    assert [dict(node.metadata_props) for node in model.graph] == metadata
    assert all(node.doc_string is None for node in model.graph)
    ir.to_proto(model)


@pytest.mark.parametrize("scopes", ["", "[", "['', 'missing']", "[]", "{'a': 1}", "[1]", "x" * 5000])
def test_what_says_nothing_is_no_place(scopes: str) -> None:
    import onnx_ir as ir

    node = ir.node("Relu", [ir.Value(name="x")])
    node.metadata_props["pkg.torch.onnx.name_scopes"] = scopes
    graph = ir.Graph([], [], nodes=[node], opset_imports={"": 20})
    say_places(ir.Model(graph, ir_version=10), Graph((Node("relu", "call", "aten.relu.default"),), ()))
    assert node.doc_string is None


@pytest.mark.parametrize(
    ("modules", "source", "text"),
    [
        ((), "", ""),
        ((("", "pkg.Net"),), "net.py:3", "Net, net.py:3"),
        ((("", "pkg.Net"), ("a.b", "pkg.Block")), "", "a.b (Block)"),
        ((("a", ""),), "net.py:3", "a, net.py:3"),
    ],
)
def test_what_is_unknown_is_left_out(modules: tuple[tuple[str, str], ...], source: str, text: str) -> None:
    assert place_of(Node("n", "call", "aten.relu.default", modules=modules, source=source)) == text
