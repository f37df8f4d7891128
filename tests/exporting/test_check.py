"""Models compared with the program they were made of, in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
import torch

from graphlab.exporting.checking import cases, check
from graphlab.exporting.checking.check import check_model
from graphlab.exporting.checking.figures import difference
from graphlab.exporting.checking.process import ChildDied, ChildError, Jobs
from graphlab.exporting.checking.report import CheckReport
from graphlab.exporting.checking.structure import check_structure
from graphlab.exporting.checking.tensors import MappedTensors, write_tensors
from graphlab.exporting.targets import target_named
from tests.exporting.checked import Exported, exported

INF = float("inf")


@pytest.fixture(scope="module")
def block(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return exported(tmp_path_factory.mktemp("block"))


@pytest.fixture(scope="module")
def report(block: Exported) -> CheckReport:
    return check_model(block.path, block.program, block.source, block.lowered.target)


def test_a_model_that_agrees(report: CheckReport) -> None:
    assert report.checked
    assert report.ok
    assert report.error is not None
    assert 0 < report.error < 1e-6
    assert report.provider == "CPUExecutionProvider"
    assert report.structure is not None
    assert report.structure.unknown == 0
    assert report.structure.inferred >= 8


def test_two_sets_of_sizes_that_differ_in_each(report: CheckReport) -> None:
    first, second = (case.sizes for case in report.cases)
    assert first.keys() == second.keys() == {"x.d0", "x.d1"}
    assert all(first[symbol] != second[symbol] for symbol in first)


def test_nothing_is_left_beside_the_model(block: Exported, report: CheckReport) -> None:
    assert report.checked
    assert [item.name for item in block.path.parent.iterdir()] == ["block.onnx"]


def test_the_row_of_a_report(report: CheckReport) -> None:
    row = report.row()
    assert (row.checked, row.ok, row.why, row.error) == (True, True, "", report.error)
    assert [item.sizes for item in row.bindings] == [dict(case.sizes) for case in report.cases]
    failed = replace(report, tolerance=0.0, cases=tuple(replace(case, noise=0.0) for case in report.cases))
    assert not failed.row("differs at node x").ok
    assert failed.row("differs at node x").diverges == "differs at node x"


def test_a_provider_that_is_not_here_is_said(block: Exported) -> None:
    report = check_model(block.path, block.program, block.source, target_named("ort-cuda"))
    if report.checked:
        assert report.provider == "CUDAExecutionProvider"
        return
    assert report.why == "onnxruntime cannot run CUDAExecutionProvider here"
    assert report.ok
    assert report.error is None


def test_a_file_that_is_no_model(block: Exported, tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"\x08" * 40)
    report = check_model(path, block.program, block.source, block.lowered.target)
    assert not report.ok
    assert report.broken.startswith("structure: ")


def test_memory_that_is_not_there(block: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "available_bytes", lambda device: 1000)
    monkeypatch.setattr(check, "_structure", lambda jobs, path: check.Structure(0, 0, 0, ()))
    report = check_model(block.path, block.program, block.source, block.lowered.target)
    assert not report.checked
    assert "needs about" in report.why
    assert "are free" in report.why


# Structure


def model(sizes: list[str | int], kind: int = 1) -> onnx.ModelProto:
    helper = onnx.helper
    nodes = [
        helper.make_node("QuickGelu", ["x"], ["y"], domain="com.microsoft"),
        helper.make_node("Relu", ["y"], ["z"]),
        helper.make_node("Transpose", ["z"], ["t"], perm=[1, 0]),
    ]
    info = helper.make_tensor_value_info
    given, result = [info("x", 1, ["b", 4])], [info("t", 1, [4, "b"])]
    inner = [info("y", 1, ["b", 4]), info("z", kind, sizes)]
    graph = helper.make_graph(nodes, "g", given, result, value_info=inner)
    opsets = [helper.make_opsetid("", 23), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


@pytest.mark.parametrize(
    ("sizes", "wrong"),
    [
        pytest.param(["b", 4], "", id="right"),
        pytest.param(["b", 5], "z: has the sizes ['b', 4], the model says ['b', 5]", id="size"),
        pytest.param(["b"], "z: has the sizes ['b', 4], the model says ['b']", id="rank"),
    ],
)
def test_recorded_shapes_are_inferred_behind_foreign_nodes(sizes: list[str | int], wrong: str, tmp_path: Path) -> None:
    onnx.save(model(sizes), os.fspath(tmp_path / "m.onnx"))
    onnx.checker.check_model(model(sizes), full_check=True)  # the reason for looking again: it keeps what is recorded
    found = check_structure(tmp_path / "m.onnx")
    assert found["wrong"] == ([wrong] if wrong else [])
    assert (found["inferred"], found["unknown"], found["foreign"]) == (2, 0, 1)


# Figures


@pytest.mark.parametrize(
    ("reference", "found", "error", "why"),
    [
        ([3.0, 4.0], [3.0, 4.5], 0.5 / 12.5**0.5, ""),
        ([0.0, 0.0], [0.0, 0.25], 0.25, ""),
        ([1.0, -INF], [1.0, -INF], 0.0, ""),
        ([1.0, -INF], [1.0, INF], INF, "values that are not finite are others"),
        ([1.0, 2.0], [1.0, float("nan")], INF, "1 of 2 values are NaN or infinite, expected 0"),
        ([1.0, 2.0], [1.0], INF, "has the shape (1,), expected (2,)"),
    ],
    ids=["rms", "zero", "masked", "sign", "nan", "shape"],
)
def test_errors_in_closed_form(reference: list[float], found: list[float], error: float, why: str) -> None:
    made = difference(torch.tensor(reference), torch.tensor(found))
    assert made.error == pytest.approx(error)
    assert made.why == why


def test_integers_are_equal_or_not() -> None:
    assert difference(torch.tensor([1, 2]), torch.tensor([1, 2])).error == 0
    assert difference(torch.tensor([1, 2]), torch.tensor([1, 3])).why == "1 of 2 values differ"


# Processes and files


def test_tensors_of_every_kind_come_back(tmp_path: Path) -> None:
    given = {
        "a": torch.randn(3, 4).bfloat16(),
        "b": torch.tensor(True),
        "c": torch.empty(0, 3),
        "d": torch.arange(6).reshape(2, 3).T,
    }
    write_tensors(tmp_path / "t", given.items())
    found = MappedTensors(tmp_path / "t")
    assert list(found) == list(given)
    for name, value in given.items():
        assert found[name].dtype == value.dtype
        assert torch.equal(found[name], value)


def test_a_process_that_was_killed_names_signal_and_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = subprocess.CompletedProcess([], -signal.SIGKILL, b"", b"")
    monkeypatch.setattr(subprocess, "run", lambda *args, **how: ended)
    with pytest.raises(ChildDied, match="onnxruntime: the process was ended by SIGKILL, most likely for lack of mem"):
        Jobs(tmp_path).run("onnxruntime", model="m")


def test_what_a_process_raises_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **how: object) -> subprocess.CompletedProcess[bytes]:
        job = json.loads(Path(command[-1]).read_text())
        Path(job["answer"]).write_text(json.dumps({"error": "ValueError: no"}))
        return subprocess.CompletedProcess(command, 0, b"", b"")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(ChildError, match="pytorch: ValueError: no"):
        Jobs(tmp_path).run("pytorch")
