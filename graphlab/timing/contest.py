"""One stage: every candidate compiled and checked in a process of its own, then timed in turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import torch

from graphlab.discovery.owner import reason_of
from graphlab.errors import GraphlabError
from graphlab.lowering.contract import why_unavailable
from graphlab.measuring.memory import available_bytes
from graphlab.report.bench_data import Check, Status
from graphlab.timing.agreement import compare, tolerance
from graphlab.timing.entrant import Entrant
from graphlab.timing.errors import WorkerTimeout
from graphlab.timing.heats import Heats
from graphlab.timing.job import Job
from graphlab.timing.process import Worker
from graphlab.timing.store import StoredTensors

COMPILE_SHARE = 0.75
"""Share of a stage's budget after which nothing is compiled any more: the rest is for rounds."""
HEADROOM = 1.1

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Limits:
    """Rounds, seconds of the stage (None: no bound), the seed of orders, bytes that may be used (None: all there are).

    A whole generation is run in full where there is time for `least_rounds` of them.
    """

    rounds: int
    seconds: float | None
    seed: int
    memory_bytes: int | None = None
    least_rounds: int = 1


@dataclass
class Contest:
    """Runs `entrants` against the `reference` job, whose process has `environment`. Files go into `folder`.

    `turns` says afterwards whether their processes took turns, `heats` what became of the timing, `notes` what the
    comparison could not see.
    """

    entrants: Sequence[Entrant]
    reference: Callable[[], Job]
    reference_dtype: str
    folder: Path
    limits: Limits
    environment: Mapping[str, str] = field(default_factory=dict)
    say: Say = lambda text: None
    turns: bool = False
    heats: Heats | None = None
    notes: list[str] = field(default_factory=list)
    _until: float | None = None
    _compile_until: float | None = None

    def run(self) -> None:
        """Everything; what went wrong with a candidate is in its `status` and `error`."""
        if self.limits.seconds is not None:
            now = time.monotonic()
            self._until = now + self.limits.seconds
            self._compile_until = now + COMPILE_SHARE * self.limits.seconds
        with ExitStack() as stack:
            stack.callback(self._stop_all)
            wanted = self._reference()
            if wanted is None:
                return
            for number, entrant in enumerate(self.entrants):
                self._enter(entrant, number, wanted)
            self._time()

    def _reference(self) -> StoredTensors | None:
        """The outputs everything is compared with; None, and every candidate failed, where there are none."""
        path = self.folder / "reference.safetensors"
        self.say("reference")
        try:
            with Worker(self.reference(), self.environment) as worker:
                worker.load(self._compile_until)
                worker.ask("compile", until=self._compile_until)
                worker.ask("outputs", until=self._compile_until, path=str(path))
        except WorkerTimeout:
            self._none("over budget", "the reference it is compared with did not run within the budget")
            return None
        except GraphlabError as error:
            self._none("failed", f"the reference it is compared with failed: {error}")
            return None
        found = StoredTensors([path])
        self.notes += unseen(found)
        return found

    def _none(self, status: Status, error: str) -> None:
        for entrant in self.entrants:
            entrant.fail(status, error)

    def _enter(self, entrant: Entrant, number: int, wanted: StoredTensors) -> None:
        """Compiles and checks one candidate; its process lives on unless they take turns."""
        try:
            why = why_unavailable(entrant.candidate.backend)
        except GraphlabError as error:  # a runtime may be installed and not to be imported
            why = str(error)
        if why is not None:
            entrant.fail("unavailable", why)
            return
        if self._compile_until is not None and time.monotonic() >= self._compile_until:
            entrant.fail("over budget", "there was no time left to compile it")
            return
        self.say(entrant.candidate.label)
        self._make_room()
        until = self._deadline(last=number == len(self.entrants) - 1)
        try:
            self._checked(entrant, self.folder / f"outputs-{number}.safetensors", wanted, until)
        except WorkerTimeout:
            entrant.fail("over budget", "it was not compiled within the budget")
        except GraphlabError as error:
            entrant.fail("failed", str(error))
        except Exception as error:  # whatever making its files raises, the others are timed
            entrant.fail("failed", f"it could not be made ready: {reason_of(error)}")
        if self.turns:
            entrant.stop()

    def _deadline(self, *, last: bool) -> float | None:
        """When the next candidate is to be compiled: none gets more than half of what is left while others wait."""
        if self._compile_until is None or last:
            return self._compile_until
        return (time.monotonic() + self._compile_until) / 2

    def _checked(self, entrant: Entrant, path: Path, wanted: StoredTensors, until: float | None) -> None:
        worker = entrant.start(until)
        if not entrant.compared:
            entrant.remember()
            entrant.status = "timed"
            return
        worker.ask("outputs", until=until, path=str(path))
        allowed = tolerance(entrant.dtype, entrant.candidate.backend.computes, self.reference_dtype)
        entrant.check = compare(StoredTensors([path]), wanted, allowed)
        path.unlink()
        entrant.remember()
        if entrant.check.agrees:
            entrant.status = "timed"
        else:
            entrant.fail("wrong", disagreement(entrant.check))

    def _make_room(self) -> None:
        """From here on processes take turns where another one, as large as the largest so far, would not fit beside."""
        alive = [item for item in self.entrants if item.worker is not None]
        if self.turns or not alive:
            return
        free = available_bytes(torch.device("cpu"))
        if self.limits.memory_bytes is not None:
            free = self.limits.memory_bytes - sum(item.peak for item in alive)
        if free is not None and max(item.peak for item in alive) * HEADROOM > free:
            self.turns = True
            self._stop_all()

    def _time(self) -> None:
        ready = [item for item in self.entrants if item.ready]
        self.heats = Heats(ready, self.turns, self.limits.seed, self._until, self.say)
        self.heats.run(self.limits.rounds, self.limits.least_rounds)

    def _stop_all(self) -> None:
        for entrant in self.entrants:
            entrant.stop()


def unseen(reference: Mapping[str, torch.Tensor]) -> list[str]:
    """A note for outputs of the reference that hold no number at all: they agree with whatever does the same."""
    empty = [key for key, value in reference.items() if value.numel() and not torch.isfinite(value).any()]
    names = [str(index) for index, key in enumerate(reference) if key in empty]
    if not names:
        return []
    return [f"outputs of the reference are NaN or infinity everywhere ({', '.join(names)}): they check nothing"]


def disagreement(check: Check) -> str:
    """What is wrong with the outputs of a candidate, in words."""
    if check.worst_error is None:
        return f"output {check.output} has another shape than the reference, or NaN or infinity where it has none"
    return (
        f"output {check.output} differs from the reference by {check.worst_error:.3g} of its largest value, "
        f"{check.tolerance:g} are allowed"
    )
