"""Models with one thing wrong: the node is named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from graphlab.exporting.checking import divergence
from graphlab.exporting.checking.divergence import Divergence, first_divergence
from graphlab.exporting.checking.report import CaseCheck
from tests.exporting.checked import Exported, exported, in_this_process

CASE = CaseCheck({"x.d0": 3, "x.d1": 4}, 0, 0.0, 0.0)


@pytest.fixture(autouse=True)
def _jobs_here(monkeypatch: pytest.MonkeyPatch) -> None:
    in_this_process(monkeypatch)


@pytest.fixture(scope="module")
def block(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return exported(tmp_path_factory.mktemp("block"))


def found_in(block: Exported, folder: Path, damage: Callable[[onnx.ModelProto], None]) -> Divergence | None:
    path = Path(shutil.copy(block.path, folder / "damaged.onnx"))
    model = onnx.load(str(path))
    damage(model)
    onnx.save(model, str(path))
    recipes = block.lowered.new_tensors
    found = first_divergence(path, block.lowered, block.source, CASE, 1e-4, new_tensors=recipes, base=block.program)
    assert [item.name for item in folder.iterdir()] == ["damaged.onnx"]
    return found


def node(model: onnx.ModelProto, op_type: str, index: int = 0) -> onnx.NodeProto:
    return [item for item in model.graph.node if item.op_type == op_type][index]


def wrong_epsilon(model: onnx.ModelProto) -> None:
    next(item for item in node(model, "LayerNormalization").attribute if item.name == "epsilon").f = 0.5


def wrong_sign(model: onnx.ModelProto) -> None:
    node(model, "Add", 2).op_type = "Sub"


def not_a_number(model: onnx.ModelProto) -> None:
    name = node(model, "MatMul", 1).input[1]
    tensor = next(item for item in model.graph.initializer if item.name == name)
    value = numpy_helper.to_array(tensor).copy()
    value[0, 0] = np.nan
    tensor.CopyFrom(numpy_helper.from_array(value, name))


def nothing(model: onnx.ModelProto) -> None:
    assert model.graph.node


def test_a_wrong_epsilon(block: Exported, tmp_path: Path) -> None:
    found = found_in(block, tmp_path, wrong_epsilon)
    assert found is not None
    assert (found.name, found.op, found.module) == ("layer_norm", "aten.layer_norm.default", "norm")
    assert found.error > 1e-4
    assert found.inputs == 0
    assert str(found).startswith("differs at node layer_norm (aten.layer_norm.default, norm): error 0.")


def test_the_last_node_which_is_called_like_the_result(block: Exported, tmp_path: Path) -> None:
    found = found_in(block, tmp_path, wrong_sign)
    assert found is not None
    assert (found.name, found.op) == ("add", "aten.add.Tensor")
    assert found.inputs < 1e-4 < found.error


def test_nan_behind_several_nodes_found_by_bisection(
    block: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(divergence, "MOST_BYTES", 3 * 4 * 16 * 4)  # one value at a time
    found = found_in(block, tmp_path, not_a_number)
    assert found is not None
    assert found.op == "aten.matmul.default"
    assert found.module == "second"
    assert "values are NaN or infinite, expected 0" in str(found)


class Heads(nn.Module):
    """x (batch, tokens, 16) split into heads and back: views whose sizes depend on the input."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(16, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, tokens, _ = x.shape
        heads = self.layer(x).reshape(batch, tokens, 4, 4).transpose(1, 2)
        return heads.softmax(-1).transpose(1, 2).reshape(batch, tokens, 16)


def test_programs_with_views_as_they_are_translated(tmp_path: Path) -> None:
    heads = exported(tmp_path, Heads())
    assert any("graphlab.reshape" in node.target for node in heads.lowered.program.graph.calls)
    (tmp_path / "damaged").mkdir()
    found = found_in(heads, tmp_path / "damaged", lambda model: node(model, "Softmax").attribute.__delitem__(0))
    assert found is None  # without an axis it is the last one
    (tmp_path / "other").mkdir()
    found = found_in(heads, tmp_path / "other", lambda model: setattr(node(model, "Softmax").attribute[0], "i", 1))
    assert found is not None
    assert found.op == "aten.softmax.int"


def test_a_model_that_agrees_differs_nowhere(block: Exported, tmp_path: Path) -> None:
    assert found_in(block, tmp_path, nothing) is None
