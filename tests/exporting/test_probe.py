"""Kernels that are there, kernels that are not, and several distributions in one folder."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from graphlab.exporting import probe
from graphlab.exporting.probe import Kernels, kernels, probed, runtime_conflict
from graphlab.exporting.probing import TRIALS
from graphlab.exporting.targets import TARGETS, target_named

CPU = "CPUExecutionProvider"


@pytest.fixture(scope="module")
def on_cpu(tmp_path_factory: pytest.TempPathFactory) -> Kernels:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRAPHLAB_CACHE", str(tmp_path_factory.mktemp("kernels")))
        return kernels(CPU)


def test_every_operator_a_target_may_write_is_tried() -> None:
    assert set().union(*(target.kernels for target in TARGETS.values())) <= set(TRIALS)


def test_cpu_kernels_are_those_of_the_table(on_cpu: Kernels) -> None:
    assert on_cpu.available
    assert on_cpu.present == target_named("ort-cpu").kernels
    assert on_cpu.half == on_cpu.present  # run in float32 between casts
    assert set(on_cpu.absent) == {"BiasAdd", "BiasSplitGelu", "GroupNorm", "SkipGroupNorm"}
    assert all("Could not find an implementation" in why for why in on_cpu.absent.values())


def test_what_was_found_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GRAPHLAB_CACHE", str(tmp_path))
    found = Kernels(CPU, frozenset({"Gelu"}), frozenset(), {"GroupNorm": "no kernel"})
    monkeypatch.setattr(probe, "_probed", lambda provider: found)
    assert kernels(CPU) == found
    monkeypatch.setattr(probe, "_probed", lambda provider: pytest.fail("asked again"))
    assert kernels(CPU) == found
    (stored,) = tmp_path.iterdir()
    stored.write_bytes(b"damaged")
    monkeypatch.setattr(probe, "_probed", lambda provider: replace(found, present=frozenset()))
    assert kernels(CPU).present == frozenset()


def test_a_provider_that_is_not_here_is_asked_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GRAPHLAB_CACHE", str(tmp_path))
    monkeypatch.setattr(probe, "_probed", lambda provider: Kernels(provider, available=False, why="no driver"))
    assert not kernels(CPU).available
    monkeypatch.setattr(probe, "_probed", lambda provider: Kernels(provider))
    assert kernels(CPU).available


def test_the_cache_is_asked_by_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GRAPHLAB_CACHE", str(tmp_path))
    places = set()
    for version in ("1.31.0", "1.32.0"):
        monkeypatch.setattr(probe, "installed_runtimes", lambda version=version: {"onnxruntime": version})
        places.add(probe._cached_at(CPU))
    assert len(places) == 2


def test_a_target_keeps_what_is_present(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Kernels(CPU, frozenset({"Gelu", "FastGelu"}), absent={"QuickGelu": "no kernel"})
    monkeypatch.setattr(probe, "kernels", lambda provider: here)
    target = replace(target_named("ort-cpu"), kernels=frozenset({"Gelu", "QuickGelu"}))
    made, notes = probed(target)
    assert made.kernels == {"Gelu"}
    assert notes == ("QuickGelu is not used: no kernel",)


def test_a_provider_that_is_not_here_leaves_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "kernels", lambda provider: Kernels(provider, available=False, why="no driver"))
    made, notes = probed(target_named("ort-cuda"))
    assert made == target_named("ort-cuda")
    assert notes == ("kernels of CUDAExecutionProvider were not probed here: no driver",)
    assert probed(target_named("standard")) == (target_named("standard"), ())


def test_an_operator_that_ends_the_process_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    real = subprocess.run
    script = """
import os, sys, json
import graphlab.exporting.probing as probing
tried = probing.attempt
probing.attempt = lambda name, *rest: os.abort() if name == "Gelu" else ""
probing.main(sys.argv[1], json.loads(sys.argv[2]))
"""

    def run(command: list[str], **how: object) -> subprocess.CompletedProcess[str]:
        return real([sys.executable, "-c", script, *command[3:]], **how)  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(subprocess, "run", run)
    found = probe._probed(CPU)
    assert found.present == found.half == frozenset(TRIALS) - {"Gelu"}
    assert found.absent == {"Gelu": "trying it ended the process (-6)"}


def test_a_provider_the_build_lacks() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "graphlab.exporting.probing", "NoSuchExecutionProvider", "[]"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout) == {"missing": "this onnxruntime has no NoSuchExecutionProvider"}


def test_two_distributions_are_explained() -> None:
    said = runtime_conflict({"onnxruntime": "1.32.0", "onnxruntime-gpu": "1.31.1"})
    assert "onnxruntime 1.32.0 and onnxruntime-gpu 1.31.1" in said
    assert "pip uninstall -y onnxruntime onnxruntime-gpu" in said
    assert said.endswith("`pip install onnxruntime-gpu`")
    assert runtime_conflict({"onnxruntime-gpu": "1.31.1"}) == runtime_conflict({}) == ""


def test_distributions_with_folders_of_their_own_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    class Installed:
        def __init__(self, name: str) -> None:
            self.metadata, self.version = {"Name": name}, "1"

    names = ["onnxruntime_gpu", "onnxruntime-genai", "onnx", "OnnxRuntime"]
    monkeypatch.setattr(probe, "distributions", lambda: [Installed(name) for name in names])
    assert probe.installed_runtimes() == {"onnxruntime": "1", "onnxruntime-gpu": "1"}
