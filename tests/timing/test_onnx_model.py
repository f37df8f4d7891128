"""Other people's ONNX files: run as they are, by backends that read files."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch

from graphlab.benching import bench
from graphlab.loading import load
from graphlab.timing.errors import BenchError
from graphlab.timing.onnx_model import OnnxFiles, is_onnx
from graphlab.timing.store import StoredTensors


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two inputs with free rows, written with onnx alone."""
    import onnx
    from onnx import TensorProto, helper

    path = tmp_path_factory.mktemp("onnx") / "mine.onnx"
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", 4]) for name in ("zeta", "alpha")]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", 4])]
    nodes = [helper.make_node("Sub", ["zeta", "alpha"], ["d"]), helper.make_node("Exp", ["d"], ["y"])]
    graph = helper.make_graph(nodes, "mine", inputs, outputs)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(proto)
    onnx.save(proto, path)
    return path


def test_a_file_is_timed_as_it_is(model: Path) -> None:
    report = bench(model, ["onnxruntime", "eager", "onnxruntime,rewrite=2"], rounds=2, threads=1, rows=3)
    (stage,) = report.stages
    good, eager, rewritten = stage.candidates
    assert (good.status, stage.weights, stage.reference) == (
        "timed", "source", "onnxruntime without graph optimisations"
    )  # fmt: skip
    assert good.check is not None
    assert good.check.worst_error == 0.0
    assert str(eager.error).startswith("backend eager does not run .onnx files")
    assert str(rewritten.error).startswith("an ONNX file is not rewritten at -O2")


def test_inputs_have_the_sizes_set_and_the_models_order(model: Path, tmp_path: Path) -> None:
    workload = load(str(model), dynamic=True).bind({"rows": 5})
    assert is_onnx(workload)
    stage = workload.stages[0]
    files = OnnxFiles(workload, stage, workload.step_values(stage, 0), tmp_path)
    stored = StoredTensors([files.inputs])
    assert {name: tuple(stored[name].shape) for name in stored} == {"zeta": (5, 4), "alpha": (5, 4)}
    assert list(stored) == ["zeta", "alpha"]
    with pytest.raises(BenchError, match="in float32, it cannot be run in float16"):
        files.files("float16", 0)


def test_other_sources_are_none(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(torch.nn.Linear(2, 2), (torch.ones(1, 2),)), tmp_path / "p.pt2")
    assert not is_onnx(load(str(tmp_path / "p.pt2")))


def test_weights_for_a_file_that_has_its_own_are_refused(model: Path) -> None:
    with pytest.raises(BenchError, match=r"run with the weights it has.*leave --weights out"):
        bench(model, ["onnxruntime"], weights="random:1", rows=3)
