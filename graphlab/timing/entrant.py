"""A candidate on a stage: its job, its process while there is one, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from graphlab.lowering.contract import called, is_own
from graphlab.report.bench_data import Check, Memory, Status, Times
from graphlab.timing.candidates import Candidate
from graphlab.timing.errors import WorkerError, WorkerTimeout
from graphlab.timing.job import Job
from graphlab.timing.process import Worker
from graphlab.timing.rounds import WarmUp


@dataclass
class Entrant:
    """A candidate on a stage. `job` makes its files when it is called; `environment` is that of its process.

    `status` is "timed" once it compiled and agreed with the reference; one that is not `compared`, since it computes
    something else, once it compiled.
    """

    candidate: Candidate
    dtype: str
    job: Callable[[], Job]
    environment: Mapping[str, str] = field(default_factory=dict)
    compared: bool = True
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
        """Whether it may be timed."""
        return self.status == "timed"

    @property
    def peak(self) -> int:
        """The most memory it was seen to take."""
        found = (self.memory.compile_peak_bytes, self.memory.run_peak_bytes, self.memory.before_bytes)
        return max((value for value in found if value is not None), default=0)

    @property
    def scale(self) -> float:
        """How many calls of a generation a sample of single calls stands for."""
        return sum(self.made.weights) if self.made is not None else 1.0

    def fail(self, status: Status, error: str) -> None:
        """It will not be timed; its process is ended. The error of a backend of others says whose it is."""
        backend = self.candidate.backend
        who = "" if is_own(backend) else called(backend)
        self.status, self.error = status, error if who in error else f"{who}: {error}"
        self.stop()

    def start(self, until: float | None) -> Worker:
        """A process with the job compiled; time and memory of the first time are kept. WorkerError as of `Worker`."""
        if self.made is None:
            self.made = self.job()
        self.worker = Worker(self.made, self.environment)
        loaded = self.worker.load(until)
        made = self.worker.ask("compile", until=until)
        if self.compile_seconds is None:
            self.compile_seconds = made["seconds"]
            self.notes = tuple(made["notes"])
            self.memory = Memory(loaded["before_bytes"], made["peak_bytes"], None, made["device_bytes"])
        return self.worker

    def remember(self) -> None:
        """Notes the most memory its process held so far."""
        assert self.worker is not None
        peak = self.worker.ask("memory")["peak"]
        known = self.memory.run_peak_bytes
        if peak is not None:
            self.memory = replace(self.memory, run_peak_bytes=max(peak, known or 0))

    def stop(self) -> None:
        """Ends its process where there is one."""
        if self.worker is not None:
            self.worker.stop()
            self.worker = None

    @contextmanager
    def blamed(self) -> Iterator[None]:
        """A WorkerError inside is its fault: it has failed then."""
        try:
            yield
        except WorkerError as error:
            self.fail("over budget" if isinstance(error, WorkerTimeout) else "failed", f"while it was timed: {error}")
            raise
