"""What is said of a model: sizes it holds for, writes it does not keep, why it is refused, what it was made by."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import onnx
import pytest
import torch
from torch import nn

import graphlab
from graphlab.exporting import stage
from graphlab.exporting.checking.report import CaseCheck, CheckReport
from graphlab.exporting.errors import ExportError
from graphlab.exporting.limits import size_limits
from graphlab.exporting.translations import activations
from graphlab.report.export_writers import export_json
from tests.exporting.checked import in_this_process

X = torch.linspace(-3, 3, 2 * 6 * 16).sin().reshape(2, 6, 16)


class Branch(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2 if x.shape[1] > 5 else x * 3


class Counter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(16))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.count.add_(1)
        return x + self.count


@pytest.fixture(autouse=True)
def _jobs_here(monkeypatch: pytest.MonkeyPatch) -> None:
    in_this_process(monkeypatch)


def metadata(path: Path) -> dict[str, str]:
    return {item.key: item.value for item in onnx.load(str(path)).metadata_props}


def test_sizes_a_model_holds_for_are_in_report_and_file(tmp_path: Path) -> None:
    # No weights and symbolic sizes: the dtype is that of the inputs.
    program = graphlab.capture(Branch(), (X,))
    report = graphlab.export(program, tmp_path / "m.onnx", check=False)
    assert metadata(tmp_path / "m.onnx")["graphlab.holds"] == "x.d1 >= 6; x.d1 > 5"
    assert "it holds where x.d1 >= 6; x.d1 > 5" in report.models[0].notes
    assert "onnxruntime" in metadata(tmp_path / "m.onnx")["graphlab.versions"]


@pytest.mark.parametrize(
    ("guards", "said"),
    [
        (("h == h",), ()),
        (("(h // 7) == (h // 7)", "h == w", "h != w"), ("h == w", "h != w")),
    ],
)
def test_a_guard_between_one_name_and_itself_is_left_out(guards: tuple[str, ...], said: tuple[str, ...]) -> None:
    program = graphlab.capture(Branch(), (X,), dynamic=False)
    graph = dataclasses.replace(program.graph, guards=guards)
    assert size_limits(dataclasses.replace(program, graph=graph), {}) == said


def test_writes_that_are_not_kept_are_said(tmp_path: Path) -> None:
    program = graphlab.capture(Counter(), (X,), dynamic=False)
    report = graphlab.export(program, tmp_path / "m.onnx", check=False)
    assert any("writes into the buffer count" in note for note in report.models[0].notes)


def test_float64_becomes_float32_and_takes_no_operator_of_microsoft(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Linear(16, 16), nn.SiLU()).double()
    program = graphlab.capture(module, (X.double(),), dynamic=False)
    report = graphlab.export(program, tmp_path / "m.onnx", dtype="float32", check=False)
    assert [port.dtype for port in report.models[0].inputs] == ["float"]
    report = graphlab.export(program, tmp_path / "m.onnx", target="ort-cpu")
    assert report.models[0].check.ok
    assert not any("::" in operator for operator in report.models[0].operators)


def test_passes_the_target_leaves_out_are_not_in_the_report(tmp_path: Path) -> None:
    program = graphlab.capture(nn.Linear(16, 16), (X,), dynamic=False)
    assert "fuse-qkv" in graphlab.export(program, tmp_path / "m.onnx", check=False).passes
    assert "fuse-qkv" not in graphlab.export(program, tmp_path / "m.onnx", target="ort-cpu", check=False).passes


def test_a_half_model_that_is_refused_names_its_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activations, "silu", lambda x: activations.quick_gelu(x, 0.1))
    program = graphlab.capture(nn.Sequential(nn.Linear(16, 16), nn.SiLU()), (X,), dynamic=False)
    with pytest.raises(ExportError, match="differs at node silu"):
        graphlab.export(program, tmp_path / "m.onnx", target="ort-cpu", dtype="float16")


def test_a_forced_model_of_nan_is_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activations, "silu", lambda x: activations.quick_gelu(x, float("nan")))
    program = graphlab.capture(nn.SiLU(), (X,), dynamic=False)
    report = graphlab.export(program, tmp_path / "m.onnx", target="ort-cpu", force=True)
    assert json.loads(export_json(report))["models"][0]["check"]["error"] is None


def test_sizes_that_were_not_tried_and_two_runtimes_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = ("x.t=9 needs about 9 GB",)
    said = CheckReport(True, "", "CPUExecutionProvider", "", 1.0, None, (CaseCheck({}, 0, 0.0, 0.0),), notes=notes)
    monkeypatch.setattr(stage, "check_model", lambda *args, **options: said)
    monkeypatch.setattr(stage, "runtime_conflict", lambda: "two are installed into one folder")
    program = graphlab.capture(nn.Linear(16, 16), (X,), dynamic=False)
    found = graphlab.export(program, tmp_path / "m.onnx").models[0].notes
    assert {*notes, "two are installed into one folder"} <= {*found}
