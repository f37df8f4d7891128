"""Every backend computes what the program says, on a program that was captured without weights."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch

from graphlab.hoisting.runner import eager_call
from graphlab.lowering.errors import BackendError
from graphlab.lowering.registry import backend_from
from graphlab.program import Program
from graphlab.rewriter import run_pass
from tests.lowering.programs import gated, meta_tiny, tiny_inputs

OPENVINO = pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="openvino is an optional extra")
CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")


def needs(provider: str) -> pytest.MarkDecorator:
    """Skips without a CUDA device and where ONNX Runtime was built without the provider."""
    lacks = not torch.cuda.is_available() or provider not in onnxruntime.get_available_providers()
    return pytest.mark.skipif(lacks, reason=f"no CUDA device, or an ONNX Runtime without {provider}")


def agree(spec: str, program: Program, values: dict[str, torch.Tensor], inputs: dict[str, torch.Tensor]) -> Any:
    """The program compiled by `spec`, whose results are those of a plain run."""
    made = backend_from(spec).compile(program, values)
    found, wanted = made.call(inputs), eager_call(program, values)(inputs)
    assert isinstance(found, tuple)
    assert len(found) == len(wanted)
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours.dtype == theirs.dtype
        assert torch.allclose(ours.cpu(), theirs, rtol=1e-4, atol=1e-4)
    return made


SPECS = [
    "eager",
    "onnxruntime",
    "onnxruntime,target=standard,optimization=none,threads=1",
    "inductor",
    pytest.param("openvino", marks=OPENVINO),
    pytest.param("eager,device=cuda", marks=CUDA),
    pytest.param("inductor,device=cuda", marks=CUDA),
    pytest.param("onnxruntime,provider=cuda", marks=needs("CUDAExecutionProvider")),
    pytest.param("onnxruntime,provider=tensorrt", marks=needs("TensorrtExecutionProvider")),
]


@pytest.mark.parametrize("spec", SPECS)
def test_results_are_those_of_the_program(spec: str, tmp_path: Path) -> None:
    """And guards, which a file's author writes as text and torch's own `module()` would run as code, stay text."""
    program, values = meta_tiny()
    assert program.exported is not None
    trap = tmp_path / "trap"
    program.exported._guards_code = [f"open({str(trap)!r}, 'w') is not None"]
    before = str(program.exported)
    made = agree(spec, program, values, tiny_inputs())
    assert not trap.exists()
    with pytest.raises(BackendError, match="time"):
        made.call({"sample": tiny_inputs()["sample"]})
    assert made.compile_seconds > 0
    assert made.peak_bytes > 0
    assert (made.device_bytes is None) == ("cuda" not in spec and "tensorrt" not in spec)
    assert str(program.exported) == before


@pytest.mark.parametrize("spec", ["inductor-aot,threads=1", "onnxruntime", pytest.param("openvino", marks=OPENVINO)])
def test_fused_operators_are_understood(spec: str) -> None:
    program, values = gated()
    fused = run_pass("fuse-geglu", program).program
    assert any(node.target == "graphlab.geglu.default" for node in fused.graph.calls)
    agree(spec, fused, values, {"x": torch.randn(3, 8)})


@OPENVINO
def test_openvino_computes_in_float32_unless_it_is_told_otherwise() -> None:
    program, values = meta_tiny()
    exact, coarse = (backend_from(f"openvino,precision={name}") for name in ("f32", "bf16"))
    wanted = eager_call(program, values)(tiny_inputs())[0]
    errors = [(item.compile(program, values).call(tiny_inputs())[0] - wanted).abs().max() for item in (exact, coarse)]
    assert errors[0] < 1e-4 < errors[1] < 0.5
    assert (exact.computes, coarse.computes) == ("float32", "bfloat16")


def test_sizes_the_capture_left_free() -> None:
    from tests.timing.modules import tiny_program

    program = tiny_program(dynamic=True)
    assert program.exported is not None
    values = dict(program.exported.state_dict)
    for spec in ("eager", "onnxruntime"):
        made = backend_from(spec).compile(program, values)
        for batch, height in ((3, 5), (2, 7)):
            inputs = {"sample": torch.randn(batch, 4, height, 8), "time": torch.randn(batch)}
            for ours, theirs in zip(made.call(inputs), eager_call(program, values)(inputs), strict=True):
                assert torch.allclose(ours, theirs, atol=1e-4)
    with pytest.raises(BackendError, match="symbolic sizes, inductor-aot compiles fixed ones"):
        backend_from("inductor-aot").compile(program, values)


def test_a_program_in_another_dtype_than_asked_for() -> None:
    program, values = meta_tiny()
    with pytest.raises(BackendError, match="tiny is in float32, backend eager was asked for bfloat16"):
        backend_from("eager,dtype=bfloat16").compile(program, values)


def test_a_program_that_is_only_a_graph() -> None:
    program, values = meta_tiny()
    with pytest.raises(BackendError, match="only known by its graph"):
        backend_from("eager").compile(Program(program.name, program.graph), values)


def test_sizes_that_are_compiled_at_a_call_are_frozen_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch compiles a batch of 1 by itself, when it comes: not without the settings."""
    import torch._inductor.config as config

    from tests.timing.modules import tiny_program

    seen: list[tuple[bool, bool]] = []

    def compiled(*given: torch.Tensor) -> tuple[torch.Tensor, ...]:
        seen.append((config.freezing, torch.is_grad_enabled()))
        return given

    monkeypatch.setattr(torch, "compile", lambda module, **options: compiled)
    program = tiny_program(dynamic=True)
    assert program.exported is not None
    made = backend_from("inductor").compile(program, dict(program.exported.state_dict))
    made.call({"sample": torch.randn(1, 4, 6, 8), "time": torch.randn(1)})
    assert seen == [(True, False)] * 2
    assert not config.freezing
