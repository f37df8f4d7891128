"""One stage: every candidate compiled and checked in a process of its own, then timed in turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from graphlab.errors import GraphlabError
from graphlab.measuring.memory import available_bytes
from graphlab.report.bench_data import Check, Memory, Status, Times
from graphlab.timing.agreement import compare, tolerance
from graphlab.timing.candidates import Candidate
from graphlab.timing.errors import WorkerError, WorkerTimeout
from graphlab.timing.job import Job
from graphlab.timing.process import Worker
from graphlab.timing.rounds import WarmUp, run_rounds, warm_up
from graphlab.timing.statistics import bootstrap, spread
from graphlab.timing.store import StoredTensors

COMPILE_SHARE = 0.75
"""Share of a stage's budget after which nothing is compiled any more: the rest is for rounds."""
PAUSE_SECONDS = 0.01
"""Between two candidates: threads of the one that was running wait busily for some milliseconds before they sleep."""
PATIENCE_SECONDS = 10.0
HEADROOM = 1.1

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Limits:
    """Rounds, seconds of the stage (None: no bound), the seed of orders, bytes that may be used (None: what is there)."""

    rounds: int
    seconds: float | None
    seed: int
    memory_bytes: int | None = None
    least_rounds: int = 1


@dataclass
class Entrant:
    """A candidate on a stage: how to make its job, and what became of it."""

    candidate: Candidate
    dtype: str
    job: Callable[[], Job]
    status: Status = "failed"
    error: str | None = None
    check: Check | None = None
    compile_seconds: float | None = None
    memory: Memory = field(default_factory=Memory)
    notes: tuple[str, ...] = ()
    made: Job | None = None
    worker: Worker | None = None
    warm: WarmUp | None = None
    times: Times | None = None

    @property
    def ready(self) -> bool:
        """Whether it compiled and agreed, so that it may be timed."""
        return self.status == "timed"

    @property
    def peak(self) -> int:
        """The most memory it was seen to take."""
        found = (self.memory.compile_peak_bytes, self.memory.run_peak_bytes, self.memory.before_bytes)
        return max((value for value in found if value is not None), default=0)


@dataclass
class Contest:
    """Runs `entrants` against the `reference` job. Files go into `folder`; `environment` is that of the processes."""

    entrants: Sequence[Entrant]
    reference: Callable[[], Job]
    reference_dtype: str
    folder: Path
    limits: Limits
    environment: Callable[[str], Mapping[str, str]]
    say: Say = lambda text: None
    turns: bool = False
    whole: bool = False
    rounds: int = 0
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

    # Before anything is timed

    def _reference(self) -> StoredTensors | None:
        """The outputs everything is compared with; None, and every candidate failed, where there are none."""
        path = self.folder / "reference.safetensors"
        self.say("reference")
        try:
            job = self.reference()
            with Worker(job, self.environment("reference")) as worker:
                worker.load(self._compile_until)
                worker.ask("compile", until=self._compile_until)
                worker.ask("outputs", until=self._compile_until, path=str(path))
        except WorkerTimeout:
            self._all_failed("over budget", "the reference it is compared with did not run within the budget")
            return None
        except GraphlabError as error:
            self._all_failed("failed", f"the reference it is compared with failed: {error}")
            return None
        return StoredTensors([path])

    def _all_failed(self, status: Status, error: str) -> None:
        for entrant in self.entrants:
            entrant.status, entrant.error = status, error

    def _enter(self, entrant: Entrant, number: int, wanted: StoredTensors) -> None:
        """Compiles and checks one candidate; its process lives on unless they take turns."""
        reason = entrant.candidate.backend.unavailable()
        if reason is not None:
            entrant.status, entrant.error = "unavailable", reason
            return
        if self._compile_until is not None and time.monotonic() >= self._compile_until:
            entrant.status, entrant.error = "over budget", "there was no time left to compile it"
            return
        self.say(entrant.candidate.label)
        self._make_room()
        try:
            self._prepared(entrant, number, wanted)
        except WorkerTimeout:
            entrant.status, entrant.error = "over budget", "it was not compiled within the budget"
            self._stop(entrant)
        except GraphlabError as error:
            entrant.status, entrant.error = "failed", str(error)
            self._stop(entrant)

    def _prepared(self, entrant: Entrant, number: int, wanted: StoredTensors) -> None:
        entrant.made = entrant.job()
        self._start(entrant)
        path = self.folder / f"outputs-{number}.safetensors"
        worker = entrant.worker
        assert worker is not None
        worker.ask("outputs", until=self._compile_until, path=str(path))
        backend = entrant.candidate.backend
        allowed = tolerance(entrant.dtype, backend.computes, self.reference_dtype)
        entrant.check = compare(StoredTensors([path]), wanted, allowed)
        path.unlink()
        self._remember(entrant)
        entrant.status = "timed" if entrant.check.agrees else "wrong"
        if not entrant.check.agrees:
            entrant.error = _disagreement(entrant.check)
        if self.turns or not entrant.ready:
            self._stop(entrant)

    def _start(self, entrant: Entrant) -> None:
        """A process with the job compiled; time and memory of the first time are kept."""
        assert entrant.made is not None
        entrant.worker = Worker(entrant.made, self.environment(entrant.candidate.label))
        loaded = entrant.worker.load(self._compile_until)
        made = entrant.worker.ask("compile", until=self._compile_until)
        if entrant.compile_seconds is None:
            entrant.compile_seconds = made["seconds"]
            entrant.notes = tuple(made["notes"])
            entrant.memory = Memory(
                loaded["before_bytes"], made["peak_bytes"], entrant.memory.run_peak_bytes, made["device_bytes"]
            )

    def _remember(self, entrant: Entrant) -> None:
        assert entrant.worker is not None
        peak = entrant.worker.ask("memory")["peak"]
        known = entrant.memory.run_peak_bytes
        if peak is not None:
            entrant.memory = replace(entrant.memory, run_peak_bytes=max(peak, known or 0))

    def _make_room(self) -> None:
        """From here on workers take turns where another one, as large as the largest so far, would not fit beside."""
        alive = [item for item in self.entrants if item.worker is not None]
        if self.turns or not alive:
            return
        largest = max(item.peak for item in alive)
        free = available_bytes(torch.device("cpu"))
        if self.limits.memory_bytes is not None:
            free = self.limits.memory_bytes - sum(item.peak for item in alive)
        if free is not None and largest * HEADROOM > free:
            self.turns = True
            self._stop_all()

    # Timing

    def _time(self) -> None:
        ready = [item for item in self.entrants if item.ready]
        if not ready:
            return
        timed = [_Turn(self, item) for item in ready] if self.turns else [_Seat(self, item) for item in ready]
        expected = 0.0
        for item, entrant in zip(timed, ready, strict=True):
            self.say(f"{entrant.candidate.label}: warm-up")
            start = time.monotonic()
            self._warmed(item, entrant)
            lasted = time.monotonic() - start
            if entrant.warm is not None:
                expected += lasted if self.turns else entrant.warm.seconds * entrant.warm.calls_per_sample
        pairs = [(item, entrant) for item, entrant in zip(timed, ready, strict=True) if entrant.warm is not None]
        self.whole = self._whole_fits([entrant for _, entrant in pairs])
        self.say("rounds")
        self._rounds(pairs, expected if not self.whole else _generation_seconds([e for _, e in pairs]))

    def _warmed(self, timed: _Turn | _Seat, entrant: Entrant) -> None:
        try:
            entrant.warm = timed.warmed(self._until)
        except WorkerError:
            assert not entrant.ready  # whoever asked the process wrote down what it said

    def _whole_fits(self, ready: Sequence[Entrant]) -> bool:
        """Whether every step of a generation can be run: there are such jobs, and time for enough rounds."""
        if not ready or not all(item.made is not None and item.made.sequence for item in ready):
            return False
        needed = _generation_seconds(ready) * min(self.limits.least_rounds, self.limits.rounds)
        return self._until is None or time.monotonic() + needed <= self._until

    def _rounds(self, pairs: Sequence[tuple[_Turn | _Seat, Entrant]], expected: float) -> None:
        """Rounds of everybody; one that fails is left out of those that follow."""
        samples: dict[str, list[float]] = {entrant.candidate.label: [] for _, entrant in pairs}
        pairs = list(pairs)
        while pairs and self.rounds < self.limits.rounds:
            try:
                for found in run_rounds(
                    [item for item, _ in pairs],
                    [self._calls(entrant) for _, entrant in pairs],
                    self.limits.rounds - self.rounds,
                    seed=self.limits.seed + self.rounds,
                    expected=expected,
                    until=self._until,
                ):
                    self.rounds += 1
                    for (_, entrant), seconds in zip(pairs, found, strict=True):
                        samples[entrant.candidate.label].append(seconds)
                break
            except WorkerError:
                pairs = [(item, entrant) for item, entrant in pairs if entrant.ready]
        for _, entrant in pairs:
            self._conclude(entrant, samples[entrant.candidate.label])

    def _calls(self, entrant: Entrant) -> int:
        assert entrant.warm is not None
        return 1 if self.whole else entrant.warm.calls_per_sample

    def _conclude(self, entrant: Entrant, samples: Sequence[float]) -> None:
        if not samples:
            entrant.status, entrant.error = "over budget", "no round would have been over within the budget"
            return
        entrant.times = self._times(entrant, samples)
        if entrant.worker is not None:
            self._remember(entrant)

    def _times(self, entrant: Entrant, samples: Sequence[float]) -> Times:
        assert entrant.warm is not None and entrant.made is not None
        middle, low, high = spread(samples)
        return Times(
            seconds=middle,
            low=low,
            high=high,
            samples=tuple(samples),
            calls_per_sample=self._calls(entrant),
            warmup_calls=entrant.warm.calls,
            stable=entrant.warm.stable,
            interval=bootstrap(samples),
            estimate=entrant.made.estimates and not self.whole,
        )

    @property
    def patience(self) -> float | None:
        """When a sample that was to be over by the end of the budget is given up."""
        return None if self._until is None else self._until + PATIENCE_SECONDS

    @contextmanager
    def blaming(self, entrant: Entrant) -> Iterator[None]:
        """What goes wrong inside is the fault of `entrant`, which has then failed."""
        try:
            yield
        except WorkerError as error:
            if entrant.ready:
                late = isinstance(error, WorkerTimeout)
                entrant.status, entrant.error = ("over budget" if late else "failed"), f"while it was timed: {error}"
            self._stop(entrant)
            raise

    def _stop_all(self) -> None:
        for entrant in self.entrants:
            self._stop(entrant)

    def _stop(self, entrant: Entrant) -> None:
        if entrant.worker is not None:
            entrant.worker.stop()
            entrant.worker = None


@dataclass
class _Seat:
    """A candidate whose process stays."""

    contest: Contest
    entrant: Entrant

    def warmed(self, until: float | None) -> WarmUp:
        """Its warm-up; WorkerError, and the candidate has failed, where its process does."""
        assert self.entrant.made is not None
        return warm_up(self, scale=sum(self.entrant.made.weights), until=until)

    def sample(self, calls: int) -> float:
        """Seconds of a call; errors as of `warmed`."""
        with self.contest.blaming(self.entrant):
            assert self.entrant.worker is not None
            time.sleep(PAUSE_SECONDS)
            return self.entrant.worker.sample(calls, whole=self.contest.whole, until=self.contest.patience)


@dataclass
class _Turn:
    """A candidate whose process is started for every sample and ended after it."""

    contest: Contest
    entrant: Entrant

    def warmed(self, until: float | None) -> WarmUp:
        """How it warms up in a turn of its own; WorkerError, and the candidate has failed, where its process does."""
        with self.contest.blaming(self.entrant), self._started():
            return _Seat(self.contest, self.entrant).warmed(until)

    def sample(self, calls: int) -> float:
        """Starts, compiles and warms up; then seconds of a call; errors as of `warmed`."""
        with self.contest.blaming(self.entrant), self._started() as worker:
            _Seat(self.contest, self.entrant).warmed(self.contest.patience)
            seconds = worker.sample(calls, whole=self.contest.whole, until=self.contest.patience)
            self.contest._remember(self.entrant)
            return seconds

    @contextmanager
    def _started(self) -> Iterator[Worker]:
        try:
            self.contest._start(self.entrant)
            assert self.entrant.worker is not None
            yield self.entrant.worker
        finally:
            self.contest._stop(self.entrant)


def _generation_seconds(entrants: Sequence[Entrant]) -> float:
    """Seconds that one generation of each takes, by the warm-up."""
    return sum(item.warm.seconds for item in entrants if item.warm is not None)


def _disagreement(check: Check) -> str:
    if check.worst_error is None:
        return f"output {check.output} has another shape than the reference, or NaN or infinity where it has none"
    return f"output {check.output} differs from the reference by {check.worst_error:.3g} of its largest value, \
{check.tolerance:g} are allowed"
