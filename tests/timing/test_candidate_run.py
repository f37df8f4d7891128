"""What a candidate's process does with the calls it has: results that count, a clock that runs over calls alone."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
import torch

import graphlab.timing.candidate_run as candidate_run
from graphlab.lowering.base import Compiled
from graphlab.lowering.registry import backend_from
from graphlab.timing.candidate_run import CandidateRun, Given
from graphlab.timing.job import Job
from graphlab.timing.store import StoredTensors


def run_of(*results: object) -> CandidateRun:
    """A run whose only program has these results."""
    return CandidateRun(Job("eager", ()), backend_from("eager"), None, [Given("tiny", {})], [lambda inputs: results])


def test_results_are_numbered_without_those_that_are_no_tensors(tmp_path: Path) -> None:
    """An ONNX model has no place for None: what comes after it is the same result for everybody."""
    run_of(None, torch.ones(2), 3, torch.zeros(1)).write_outputs(str(tmp_path / "out"))
    stored = StoredTensors([tmp_path / "out"])
    assert {key: stored[key].tolist() for key in stored} == {"0.0": [1.0, 1.0], "0.1": [0.0]}


def test_nothing_stands_between_the_call_that_warms_up_and_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []
    run = run_of()
    run.calls = [lambda inputs: log.append("call")]
    monkeypatch.setattr(gc, "collect", lambda: log.append("collect"))
    run.sample(2, whole=False)
    run.sample(2, whole=False)
    assert log == ["collect", "call", "call", "collect", "call", "call", "call"]
    assert gc.isenabled()


def test_a_peak_that_is_that_of_compiling_is_none_of_running() -> None:
    run = run_of()
    assert run.memory()["peak"] is not None
    run._peaks = False
    assert run.memory()["peak"] is None


def test_what_only_the_first_call_compiles_is_compile_time(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter((5.0, 2.0))
    monkeypatch.setattr(CandidateRun, "_timed", lambda *_, **__: next(seconds))
    monkeypatch.setattr(candidate_run, "peak_bytes", lambda: 7)
    found = run_of()._specialised(Compiled(lambda inputs: (), 1.0, 3, None))
    assert (found.compile_seconds, found.peak_bytes) == (4.0, 7)
