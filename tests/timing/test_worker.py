"""A real process: what it answers, that it waits quietly, and what is said when it dies or is late."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch

import graphlab.timing.process as process
from graphlab.hoisting.runner import eager_call
from graphlab.measuring.materialize import inputs
from graphlab.rewriting.bare import held_tensors, save_bare
from graphlab.timing.errors import WorkerError, WorkerTimeout
from graphlab.timing.job import Job, ProgramFiles, Sampling, job_from
from graphlab.timing.process import Worker
from graphlab.timing.store import StoredTensors, write_tensors
from tests.timing.modules import tiny_program


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> ProgramFiles:
    """Tiny on disk."""
    folder = tmp_path_factory.mktemp("files")
    program = tiny_program()
    save_bare(program, folder / "tiny.pt2")
    held = held_tensors(program)
    write_tensors(folder / "weights", held, held)
    given = inputs(program.graph, {}, torch.device("cpu"))
    write_tensors(folder / "inputs", given, given)
    return ProgramFiles("tiny", str(folder / "tiny.pt2"), (str(folder / "weights"),), str(folder / "inputs"))


def test_a_job_travels_as_json_values(files: ProgramFiles) -> None:
    import json

    job = Job("eager", (files, files), (2.0, 1.0), (0, 1, 0), Sampling("sample", 3, True))
    assert job_from(json.loads(json.dumps(job.to_dict()))) == job
    assert job.estimates
    assert not Job("eager", (files,)).estimates


def test_a_process_computes_what_the_program_does_and_then_sleeps(files: ProgramFiles, tmp_path: Path) -> None:
    program = tiny_program()
    given = StoredTensors([Path(files.inputs)])
    with Worker(Job("eager,threads=1", (files,), (1.0,), (0, 0, 0))) as worker:
        before = worker.load()["before_bytes"]
        made = worker.ask("compile")
        assert made["seconds"] > 0
        assert made["peak_bytes"] >= before > 0
        assert worker.ask("outputs", path=str(tmp_path / "out")) == {"outputs": 2}
        assert worker.sample(3) > 0
        assert worker.sample(1, whole=True) > 0
        spent = worker.ask("memory")["cpu_seconds"]
        time.sleep(0.5)
        assert worker.ask("memory")["cpu_seconds"] - spent < 0.2  # nothing of it waits busily
        assert worker.ask("memory")["peak"] > 0
    found = StoredTensors([tmp_path / "out"])
    wanted = eager_call(program)({name: given[name] for name in given})
    for index, value in enumerate(wanted):
        assert torch.allclose(found[f"0.{index}"], value, atol=1e-5)


@pytest.mark.usefixtures("broken")
def test_errors_deaths_and_delays(files: ProgramFiles) -> None:
    with Worker(Job("broken,how=raise", (files,))) as worker:
        worker.load()
        with pytest.raises(WorkerError, match=r"broken of broken-backend 1\.0 cannot compile tiny: RuntimeError: no k"):
            worker.ask("compile")
    with Worker(Job("broken,how=exit", (files,))) as worker:
        worker.load()
        with pytest.raises(WorkerError, match="its process ended with exit code 7: something on standard output"):
            worker.ask("compile")
    with Worker(Job("broken,how=sleep", (files,))) as worker:
        worker.load()
        start = time.monotonic()
        with pytest.raises(WorkerTimeout, match="not done in the time"):
            worker.ask("compile", until=time.monotonic() + 0.3)
        assert time.monotonic() - start < 60
        assert worker._process.poll() is not None


def test_a_backend_of_no_name_is_said(files: ProgramFiles) -> None:
    with Worker(Job("egaer", (files,))) as worker, pytest.raises(WorkerError, match="did you mean 'eager'"):
        worker.load()


def test_a_process_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(process.subprocess, "Popen", full)
    with pytest.raises(WorkerError, match="cannot be started: Cannot allocate memory"):
        Worker(Job("eager", ()))


def test_an_interrupt_while_a_process_is_stopped_ends_it_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker(Job("eager", ()))
    wait = worker._process.wait

    def interrupted(timeout: float | None = None) -> int:
        if timeout is not None:
            raise KeyboardInterrupt
        return wait()

    monkeypatch.setattr(worker._process, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        worker.stop()
    assert worker._process.poll() is not None
