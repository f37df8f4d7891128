"""A stage's contest with processes that are made up: who is compiled, checked, refused, timed, and when."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

import graphlab.timing.contest as contest_module
import graphlab.timing.entrant as entrant_module
import graphlab.timing.heats as heats_module
from graphlab.timing.candidates import candidates
from graphlab.timing.contest import Contest, Limits
from graphlab.timing.entrant import Entrant
from graphlab.timing.errors import WorkerError, WorkerTimeout
from graphlab.timing.job import Job
from graphlab.timing.store import write_tensors

GiB = 1 << 30


class FakeWorker:
    """A process by the name of its job's backend. `plans` say what each does; `log` what was asked of whom."""

    log: ClassVar[list[tuple[str, str]]] = []
    plans: ClassVar[dict[str, dict[str, Any]]] = {}
    untils: ClassVar[list[float | None]] = []
    alive: ClassVar[int] = 0
    most_alive: ClassVar[int] = 0

    def __init__(self, job: Job, environment: Mapping[str, str] | None = None) -> None:
        self.name, self.plan = job.backend, self.plans.get(job.backend, {})
        self.samples = 0
        type(self).alive += 1
        type(self).most_alive = max(self.most_alive, self.alive)

    def __enter__(self) -> FakeWorker:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def load(self, until: float | None = None) -> dict[str, Any]:
        return self.ask("load", until=until)

    def ask(self, request: str, *, until: float | None = None, **given: Any) -> dict[str, Any]:
        self.log.append((self.name, request))
        trouble = self.plan.get(request)
        if isinstance(trouble, Exception):
            raise trouble
        if request == "outputs":
            outputs = {"0.0": torch.tensor(self.plan.get("values", [1.0, 2.0]))}
            write_tensors(Path(given["path"]), outputs, outputs)
        answers: dict[str, dict[str, Any]] = {
            "load": {"before_bytes": GiB // 4},
            "compile": {"seconds": 1.5, "peak_bytes": GiB, "device_bytes": None, "notes": ["a note"]},
            "memory": {"peak": self.plan.get("peak", GiB // 2)},
        }
        return answers.get(request, {})

    def sample(self, calls: int, *, whole: bool = False, until: float | None = None) -> float:
        self.samples += 1
        self.untils.append(until)
        self.log.append((self.name, "whole" if whole else "sample"))
        if self.samples > self.plan.get("breaks_after", 10**9):
            raise WorkerError("its process ended by signal SIGSEGV")
        return float(self.plan.get("seconds", 1.0))

    def stop(self) -> None:
        type(self).alive -= 1


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """Processes are made up; what they are to do goes in here, by the backend's name."""
    FakeWorker.log, FakeWorker.plans, FakeWorker.alive, FakeWorker.most_alive = [], {}, 0, 0
    FakeWorker.untils = []
    monkeypatch.setattr(contest_module, "Worker", FakeWorker)
    monkeypatch.setattr(entrant_module, "Worker", FakeWorker)
    monkeypatch.setattr(heats_module, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(contest_module, "available_bytes", lambda device: 100 * GiB)
    monkeypatch.setattr("graphlab.lowering.openvino.OpenVino.unavailable", lambda self: None)
    return FakeWorker.plans


def contest(folder: Path, *specs: str, sequence: int = 0, **limits: Any) -> Contest:
    """A contest of `specs` that was run; `sequence` calls make a generation."""
    chosen = candidates(specs)
    weights = (float(max(sequence, 1)),)
    entrants = [
        Entrant(item, item.backend.dtype or "float32", lambda item=item: Job(item.label, (), weights, (0,) * sequence))
        for item in chosen
    ]
    bounds = {"rounds": 7, "seconds": None, "seed": 0, **limits}
    made = Contest(entrants, lambda: Job("reference", ()), "float32", folder, Limits(**bounds))
    made.run()
    assert FakeWorker.alive == 0
    return made


def test_everybody_is_checked_before_anybody_is_timed(plans: dict[str, Any], tmp_path: Path) -> None:
    plans["inductor"] = {"seconds": 0.5}
    found = contest(tmp_path, "eager", "inductor")
    log = FakeWorker.log
    last_check = max(at for at, (_, what) in enumerate(log) if what == "outputs")
    assert all(at > last_check for at, (_, what) in enumerate(log) if what == "sample")
    assert [log[0][0], log[2]] == ["reference", ("reference", "outputs")]
    eager, inductor = found.entrants
    assert (eager.status, inductor.status) == ("timed", "timed")
    assert eager.times is not None
    assert inductor.times is not None
    assert (eager.times.samples, inductor.times.samples) == ((1.0,) * 7, (0.5,) * 7)
    assert (eager.compile_seconds, eager.notes, eager.memory.compile_peak_bytes) == (1.5, ("a note",), GiB)
    assert (eager.memory.run_peak_bytes, found.turns) == (GiB // 2, False)


def test_a_wrong_candidate_is_refused_and_never_timed(plans: dict[str, Any], tmp_path: Path) -> None:
    plans["inductor"] = {"values": [1.0, 2.5]}
    found = contest(tmp_path, "eager", "inductor")
    wrong = found.entrants[1]
    assert (wrong.status, wrong.times) == ("wrong", None)
    assert wrong.check is not None
    assert wrong.check.worst_error == 0.25
    assert wrong.error == "output 0 differs from the reference by 0.25 of its largest value, 0.001 are allowed"
    assert ("inductor", "sample") not in FakeWorker.log
    assert found.entrants[0].status == "timed"


def test_half_precision_is_allowed_more(plans: dict[str, Any], tmp_path: Path) -> None:
    plans["openvino,precision=bf16"] = {"values": [1.0, 2.05]}
    plans["openvino"] = {"values": [1.0, 2.05]}
    found = contest(tmp_path, "openvino,precision=bf16", "openvino")
    assert [item.status for item in found.entrants] == ["timed", "wrong"]


@pytest.mark.parametrize(
    ("trouble", "status", "error"),
    [
        (WorkerError("no kernel", hint="try another"), "failed", "no kernel (try another)"),
        (WorkerTimeout("late"), "over budget", "it was not compiled within the budget"),
        (OSError("no space left"), "failed", "it could not be made ready: OSError: no space left"),
    ],
)
def test_what_goes_wrong_while_compiling_leaves_the_others(
    plans: dict[str, Any], tmp_path: Path, trouble: Exception, status: str, error: str
) -> None:
    plans["eager"] = {"compile": trouble}
    found = contest(tmp_path, "eager", "inductor")
    assert (found.entrants[0].status, found.entrants[0].error) == (status, error)
    assert found.entrants[1].times is not None


def test_without_a_reference_nobody_is_timed(plans: dict[str, Any], tmp_path: Path) -> None:
    plans["reference"] = {"compile": WorkerError("no memory")}
    found = contest(tmp_path, "eager", "inductor")
    assert {item.error for item in found.entrants} == {"the reference it is compared with failed: no memory"}
    assert {name for name, _ in FakeWorker.log} == {"reference"}


def test_one_that_breaks_while_timed_is_left_out_of_later_rounds(plans: dict[str, Any], tmp_path: Path) -> None:
    plans["inductor"] = {"breaks_after": 6}
    found = contest(tmp_path, "eager", "inductor")
    eager, broken = found.entrants
    assert (broken.status, broken.times) == ("failed", None)
    assert broken.error == "while it was timed: its process ended by signal SIGSEGV"
    assert eager.times is not None
    assert len(eager.times.samples) == 7


def test_one_that_breaks_while_it_warms_up(plans: dict[str, Any], tmp_path: Path) -> None:
    plans["eager"] = {"breaks_after": 0}
    found = contest(tmp_path, "eager", "inductor")
    assert found.entrants[0].status == "failed"
    assert found.entrants[1].times is not None


def test_candidates_that_do_not_fit_together_take_turns(plans: dict[str, Any], tmp_path: Path) -> None:
    found = contest(tmp_path, "eager", "inductor", "openvino", memory_bytes=3 * GiB // 2)
    assert found.turns
    assert FakeWorker.most_alive == 1
    assert all(item.times is not None and len(item.times.samples) == 7 for item in found.entrants)
    compiled = sum(entry == ("inductor", "compile") for entry in FakeWorker.log)
    assert compiled == 1 + 1 + 7  # checked, warmed up, and once a round


def test_no_sample_of_a_turn_may_take_longer_than_the_budget(plans: dict[str, Any], tmp_path: Path) -> None:
    assert contest(tmp_path, "eager", "inductor", memory_bytes=3 * GiB // 2, seconds=1e6).turns
    assert FakeWorker.untils
    assert None not in FakeWorker.untils


def test_candidates_that_fit_together_stay(plans: dict[str, Any], tmp_path: Path) -> None:
    assert not contest(tmp_path, "eager", "inductor", memory_bytes=4 * GiB).turns
    assert FakeWorker.most_alive == 2
    assert sum(entry == ("inductor", "compile") for entry in FakeWorker.log) == 1


def test_a_budget_that_is_spent_times_nobody(plans: dict[str, Any], tmp_path: Path) -> None:
    plans["eager"] = {"seconds": 1000.0}
    found = contest(tmp_path, "eager", seconds=50.0)
    assert (found.entrants[0].status, found.entrants[0].times) == ("over budget", None)
    assert found.entrants[0].error == "no round would have been over within the budget"


def test_a_candidate_that_could_not_even_start(plans: dict[str, Any], tmp_path: Path) -> None:
    found = contest(tmp_path, "eager", seconds=1e-9)
    assert found.entrants[0].error == "there was no time left to compile it"
    assert not any(name == "eager" for name, _ in FakeWorker.log)


def test_one_that_cannot_run_here_is_not_started(
    plans: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    found = contest(tmp_path, "eager,device=cuda", "eager")
    assert found.entrants[0].status == "unavailable"
    assert "no CUDA device" in str(found.entrants[0].error)
    assert found.entrants[1].times is not None


def test_a_runtime_that_cannot_be_imported_leaves_the_others(
    plans: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(self: object) -> None:
        raise ImportError("libopenvino.so: no such file")

    monkeypatch.setattr("graphlab.lowering.openvino.OpenVino.unavailable", damaged)
    found = contest(tmp_path, "openvino", "eager")
    assert (found.entrants[0].status, found.entrants[1].status) == ("unavailable", "timed")
    said = "backend openvino cannot say whether it can run here: ImportError: libopenvino.so: no such file"
    assert found.entrants[0].error == said


def test_a_reference_without_numbers_is_said(plans: dict[str, Any], tmp_path: Path) -> None:
    plans["reference"] = plans["eager"] = {"values": [math.nan, math.inf]}
    found = contest(tmp_path, "eager")
    assert found.entrants[0].status == "timed"
    assert found.notes == ["outputs of the reference are NaN or infinity everywhere (0): they check nothing"]


def test_a_generation_is_run_in_full_where_there_is_time(plans: dict[str, Any], tmp_path: Path) -> None:
    found = contest(tmp_path, "eager", sequence=4)
    assert found.entrants[0].times is not None
    assert not found.entrants[0].times.estimate
    assert sum(entry == ("eager", "whole") for entry in FakeWorker.log) == 7


def test_a_generation_there_is_no_time_for_is_an_estimate(plans: dict[str, Any], tmp_path: Path) -> None:
    plans["eager"] = {"seconds": 400.0}  # 100 calls of 4 s
    found = contest(tmp_path, "eager", sequence=100, seconds=60.0, least_rounds=6)
    assert found.entrants[0].times is not None
    assert found.entrants[0].times.estimate
    assert found.entrants[0].times.seconds == 400.0
    assert ("eager", "whole") not in FakeWorker.log


def test_warm_up_leaves_half_of_the_time_to_rounds(
    plans: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls of 4 s that never settle, in a budget of 60 s: everybody is warmed up, and there are rounds."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(FakeWorker, "sample", drifting(now))
    found = contest(tmp_path, "eager", "inductor", "openvino", seconds=60.0)
    assert [item.status for item in found.entrants] == ["timed"] * 3
    assert found.heats is not None
    assert found.heats.rounds >= 1
    assert now[0] <= 60.0


def drifting(now: list[float]) -> Any:
    """Samples of about 4 s, each 10 % off the last, on a clock of their own."""
    count = [0]

    def sample(self: FakeWorker, calls: int, *, whole: bool = False, until: float | None = None) -> float:
        count[0] += 1
        seconds = 4.0 if count[0] % 2 else 3.6
        now[0] += seconds
        return seconds

    return sample
