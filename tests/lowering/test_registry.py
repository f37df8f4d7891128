"""Backends by name, who may run where, and what is said when one may not."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

import graphlab.discovery.classes as classes
import graphlab.lowering.distributions as distributions
import graphlab.lowering.onnxruntime as onnxruntime_backend
import graphlab.lowering.registry as registry_module
from graphlab.discovery.owner import GRAPHLAB, Owner, PluginError
from graphlab.discovery.points import Point
from graphlab.errors import UnknownNameError
from graphlab.exporting.probe import runtime_conflict
from graphlab.lowering.errors import BackendError
from graphlab.lowering.registry import backend_from, backends
from graphlab.rewriting.options import OptionError, options_of, spelled
from tests.lowering.programs import meta_tiny

BUILT_IN = ("eager", "inductor", "inductor-aot", "onnxruntime", "openvino")


def test_the_built_in_backends_are_found_as_plug_ins() -> None:
    assert set(BUILT_IN) <= set(backends())
    assert {backends()[name].owner for name in BUILT_IN} == {GRAPHLAB}


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_option_says_what_it_is_for(name: str) -> None:
    assert all(item.help for item in options_of(backends()[name].value))


@pytest.mark.parametrize(
    "spec", ["eager", "inductor,dtype=bfloat16", "onnxruntime,threads=2,provider=cuda", "openvino,precision=bf16"]
)
def test_a_spec_survives_the_way_to_another_process(spec: str) -> None:
    assert spelled(backend_from(spec)) == spec
    assert backend_from(spelled(backend_from(spec))) == backend_from(spec)


def test_unknown_names() -> None:
    with pytest.raises(UnknownNameError, match=r"no backend is called 'inducter'.*did you mean 'inductor'"):
        backend_from("inducter")
    with pytest.raises(UnknownNameError, match=r"backend onnxruntime has no option 'providr'.*did you mean 'provider'"):
        backend_from("onnxruntime,providr=cpu")
    with pytest.raises(OptionError, match="backend onnxruntime: provider=npu is not one of cpu, cuda, tensorrt"):
        backend_from("onnxruntime,provider=npu")


def test_a_name_claimed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mine(backends()["eager"].value):  # type: ignore[misc]  # a class that is only known at run time
        """Another eager."""

    entry = SimpleNamespace(load=lambda: Mine)
    point = Point("mine", "mine:Mine", registry_module.GROUP, Owner("mine", "1.0"), entry)  # type: ignore[arg-type]
    known = classes.points
    monkeypatch.setattr(classes, "points", lambda group: [*known(group), point])
    found = registry_module.registry.__wrapped__()
    with pytest.raises(PluginError, match=r"backend 'eager' of mine 1\.0 .* the name is that of a backend of graphlab"):
        found.find("eager")
    assert found.own("eager").owner is GRAPHLAB
    assert found.find("inductor").owner is GRAPHLAB


def test_two_distributions_of_onnx_runtime_are_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    both = {"onnxruntime": "1.1", "onnxruntime-gpu": "1.0"}
    monkeypatch.setattr(distributions, "runtime_conflict", lambda: runtime_conflict(both))
    program, values = meta_tiny()
    with pytest.raises(BackendError, match=r"run here: onnxruntime 1\.1 and onnxruntime-gpu 1\.0 .*pip uninstall"):
        backend_from("onnxruntime").compile(program, values)


def test_a_missing_package_comes_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributions, "find_spec", lambda name: None)
    assert backend_from("openvino").unavailable() == "openvino is not installed: `pip install graphlab[openvino]`"
    assert "pip install onnxruntime" in str(backend_from("onnxruntime").unavailable())


def test_a_provider_this_onnxruntime_does_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    assert "has no CUDAExecutionProvider" in str(backend_from("onnxruntime,provider=cuda").unavailable())
    assert backend_from("onnxruntime").unavailable() is None


def test_a_machine_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(onnxruntime_backend, "_has_driver", lambda: False)
    program, values = meta_tiny()
    for spec in ("eager,device=cuda", "inductor,device=cuda", "inductor-aot,device=cuda"):
        with pytest.raises(BackendError, match="cannot run here: torch has no CUDA device"):
            backend_from(spec).compile(program, values)
    import onnxruntime

    providers = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)
    for provider in ("cuda", "tensorrt"):
        assert "no NVIDIA driver" in str(backend_from(f"onnxruntime,provider={provider}").unavailable())


def test_what_a_target_loses_by_is_left_out_of_a_level() -> None:
    from graphlab.exporting.targets import TARGETS

    assert backend_from("onnxruntime").leaves_out == TARGETS["ort-cpu"].without
    assert backend_from("onnxruntime").leaves_out
    assert backend_from("onnxruntime,target=standard").leaves_out == ()
    assert backend_from("onnxruntime,provider=cuda").leaves_out == TARGETS["ort-cuda"].without
    assert backend_from("eager").leaves_out == ()
