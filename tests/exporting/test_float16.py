"""Half precision: casts, islands, and the search for them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import onnx
import pytest
import torch
from torch import nn

from graphlab.exporting.checking.check import check_model
from graphlab.exporting.checking.divergence import Divergence
from graphlab.exporting.checking.ranges import overflows
from graphlab.exporting.checking.report import CheckReport
from graphlab.exporting.errors import ExportError
from graphlab.exporting.float16 import angle_tables, halved, to_half
from graphlab.exporting.retype import main_dtype, retyped
from graphlab.exporting.saving import save_model
from graphlab.exporting.targets import target_named
from graphlab.exporting.translate import Lowered, to_onnx
from graphlab.sources.module import capture
from graphlab.weights.values import Values
from tests.exporting.checked import Block, Exported, exported, in_this_process

CHECKED = CheckReport(True, "", "CPUExecutionProvider", "", 0.1, None)
AGREES = replace(CHECKED, tolerance=1.0)


def wrong(lowered: Lowered, *names: str, why: str = "") -> tuple[CheckReport, Divergence]:
    graph = lowered.program.graph
    found = next(name for name in names if name in graph.by_name)
    node = graph.by_name[found]
    return replace(CHECKED, broken="differs"), Divergence(found, node.target, "", 1.0, 0.0, why)


@pytest.fixture(autouse=True)
def _jobs_here(monkeypatch: pytest.MonkeyPatch) -> None:
    in_this_process(monkeypatch)


@pytest.fixture(scope="module")
def block(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return exported(tmp_path_factory.mktemp("block"))


@pytest.fixture(scope="module")
def steep(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return exported(tmp_path_factory.mktemp("steep"), Block(scale=300.0))


def written(found: Exported, lowered: Lowered, path: Path) -> Path:
    save_model(lowered, Values(lowered.program, found.source, lowered.new_tensors, found.program), path)
    return path


def test_weights_inputs_and_results_are_half(block: Exported, tmp_path: Path) -> None:
    model = onnx.load(str(written(block, to_half(block.lowered, "float16"), tmp_path / "half.onnx")))
    half = onnx.TensorProto.FLOAT16
    assert {tensor.data_type for tensor in model.graph.initializer if tensor.dims} == {half}
    ends = [*model.graph.input, *model.graph.output]
    assert {value.type.tensor_type.elem_type for value in ends} == {half}
    assert not [node for node in model.graph.node if node.op_type == "Cast"]


def test_a_model_that_needs_no_island(block: Exported, tmp_path: Path) -> None:
    def attempt(lowered: Lowered) -> tuple[CheckReport, None]:
        path = written(block, lowered, tmp_path / "half.onnx")
        return check_model(path, block.program, block.source, lowered.target, dtype="float16"), None

    made = halved(block.lowered, "float16", attempt)
    assert made.report.ok
    assert made.report.error is not None
    assert 1e-5 < made.report.error < 1e-2
    assert not made.islands


def test_a_value_that_does_not_fit_becomes_an_island(steep: Exported, tmp_path: Path) -> None:
    recipes = steep.lowered.new_tensors
    large = overflows(steep.lowered, steep.source, "float16", steep.path, new_tensors=recipes, base=steep.program)
    assert list(large) == ["mul_1"]
    assert large["mul_1"] > 65504
    made = halved(steep.lowered, "float16", lambda lowered: (AGREES, None), None, large)
    assert set(made.islands) == {"mul_1", "softmax"}
    assert made.islands["softmax"].startswith("mul_1 reaches ")
    dtypes = {node.name: node.out.dtype for node in made.lowered.program.graph.calls}
    assert dtypes["mul"] == "float16"
    assert dtypes["mul_1"] == dtypes["softmax"] == "float32"
    assert dtypes["softmax_float16"] == "float16"
    path = written(steep, made.lowered, tmp_path / "half.onnx")
    report = check_model(path, steep.program, steep.source, made.lowered.target, dtype="float16")
    assert report.ok, report


def test_float16_holds_what_fits(block: Exported) -> None:
    recipes = block.lowered.new_tensors
    assert not overflows(block.lowered, block.source, "float16", block.path, new_tensors=recipes, base=block.program)


def test_islands_are_added_until_the_check_agrees(block: Exported) -> None:
    seen: list[set[str]] = []

    def attempt(lowered: Lowered) -> tuple[CheckReport, Divergence | None]:
        wide = {node.name for node in lowered.program.graph.calls if node.out.dtype == "float32"}
        seen.append(wide)
        if "mul" not in wide:
            return wrong(lowered, "mul")
        if "softmax" not in wide:
            return wrong(lowered, "mul_1_float16", "mul_1", why="2 of 3 values are NaN or infinite, expected 0")
        return AGREES, None

    made = halved(block.lowered, "float16", attempt)
    assert made.report.ok
    assert set(made.islands) >= {"mul", "mul_1", "softmax"}
    assert "NaN" in made.islands["softmax"]
    assert len(seen) == 3


def test_a_model_that_never_agrees_is_given_back(block: Exported) -> None:
    made = halved(block.lowered, "float16", lambda lowered: wrong(lowered, "mul"))
    assert not made.report.ok
    assert set(made.islands) == {"mul", "mul_1"}  # of one kind: the same operator in the same class of module


def test_islands_that_are_no_nodes(block: Exported) -> None:
    with pytest.raises(ExportError, match="has no node nowhere to keep in float32"):
        to_half(block.lowered, "float16", ["nowhere"])


class Embedding(nn.Module):
    """t (batch,) to sines of 8 frequencies, a layer, and a sine that is an activation."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, t: torch.Tensor) -> torch.Tensor:
        frequencies = torch.exp(-torch.arange(8, dtype=torch.float32))
        return torch.sin(self.layer(torch.sin(t[:, None] * frequencies)))


def test_tables_of_angles_are_islands_and_activations_are_not() -> None:
    program = capture(Embedding().eval().requires_grad_(False), (torch.rand(3) * 999,), dynamic=False)
    found = angle_tables(program.graph)
    assert {"sin", "arange", "exp"} <= found
    assert "sin_1" not in found
    made = retyped(program, torch.float16, found)
    dtypes = {node.name: node.out.dtype for node in made.graph.calls}
    assert dtypes["sin"] == dtypes["arange"] == "float32"
    assert dtypes["sin_1"] == dtypes["linear"] == "float16"


class Buckets(nn.Module):
    """Distances to buckets by their logarithms, as T5 has them."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        distance = torch.arange(1, x.shape[1] + 1)
        return x[:, (torch.log(distance.float() / 8) * 7.7).long().clamp(0, 4)] * x.argmax(-1, keepdim=True)


def test_integers_made_of_floats_are_islands() -> None:
    program = capture(Buckets().eval(), (torch.randn(2, 5, 16),), dynamic=False)
    found = angle_tables(program.graph)
    assert {"log", "mul"} <= found
    made = retyped(program, torch.float16, found)
    dtypes = {node.name: node.out.dtype for node in made.graph.calls}
    assert dtypes["log"] == dtypes["mul"] == "float32"
    assert dtypes["mul_1"] == "float16"


def test_half_precision_is_widened(tmp_path: Path) -> None:
    module = Block().half().eval().requires_grad_(False)
    program = capture(module, (torch.randn(2, 5, 16).half(),), dynamic=False)
    assert main_dtype(program) == "float16"
    wide = to_half(to_onnx(program, target_named("ort-cpu")), "float32")
    assert {node.out.dtype for node in wide.program.graph.nodes} == {"float32"}
    assert retyped(program, torch.float16) is program


def test_the_program_given_stays_as_it_is(block: Exported) -> None:
    before = {node.name: node.out.dtype for node in block.lowered.program.graph.nodes}
    assert to_half(block.lowered, "float16").program.history[-1] == "in float16"
    assert {node.name: node.out.dtype for node in block.lowered.program.graph.nodes} == before
    assert to_half(block.lowered, "float32") is block.lowered
