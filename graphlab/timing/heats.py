"""The timing of candidates that agree: warm-up, then rounds, their processes side by side or in turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from graphlab.report.bench_data import Times
from graphlab.timing.entrant import Entrant
from graphlab.timing.errors import WorkerError
from graphlab.timing.process import Worker
from graphlab.timing.rounds import run_rounds, warm_up
from graphlab.timing.statistics import bootstrap, spread

PAUSE_SECONDS = 0.01
"""Between two candidates: threads of the one that was running wait busily for some milliseconds before they sleep."""
QUIET = (
    "one process runs at a time; the others sleep: threads of ONNX Runtime stop spinning when a call is over, those of "
    f"other runtimes within {PAUSE_SECONDS * 1e3:g} ms, which pass before the next candidate"
)
WARMUP_SHARE = 0.5
PATIENCE_SECONDS = 10.0
"""After the end of the budget a sample that was to be over by then is given up."""


@dataclass
class Heats:
    """Times `entrants`. With `turns` a process is started for every sample and ended after it.

    `until` (time.monotonic) is when all is to be over. Afterwards `rounds` says how many there were, and `whole`
    whether a sample was all calls of a generation, really made.
    """

    entrants: Sequence[Entrant]
    turns: bool
    seed: int
    until: float | None
    say: Callable[[str], None]
    whole: bool = False
    rounds: int = 0

    def run(self, rounds: int, least_rounds: int) -> None:
        """At most `rounds`; generations are run in full where there is time for `least_rounds`."""
        expected = 0.0
        for number, entrant in enumerate(self.entrants):
            expected += self._warmed(entrant, self._share(len(self.entrants) - number))
        ready = [entrant for entrant in self.entrants if entrant.ready]
        if not ready:
            return
        if self._whole_fits(ready, min(rounds, least_rounds)):
            self.whole = True
            expected = (expected if self.turns else 0.0) + _generations(ready)
        self.say("rounds")
        self._rounds(ready, rounds, expected)

    def _share(self, candidates: int) -> float | None:
        """When the next of `candidates` that are left is to be warm: half of the time is for rounds."""
        if self.until is None:
            return None
        now = time.monotonic()
        return now + WARMUP_SHARE * max(self.until - now, 0.0) / candidates

    def _warmed(self, entrant: Entrant, until: float | None) -> float:
        """Warms `entrant` up, `until` at most; seconds that a sample of it takes."""
        self.say(f"{entrant.candidate.label}: warm-up")
        begin = time.monotonic()
        try:
            if self.turns:
                with entrant.blamed():
                    entrant.start(self.patience)
            entrant.warm = warm_up(_Seat(self, entrant), scale=entrant.scale, until=until, clock=time.monotonic)
        except WorkerError:
            return 0.0
        finally:
            if self.turns:
                entrant.stop()
        if self.turns:
            return time.monotonic() - begin
        calls = entrant.warm.calls_per_sample * entrant.warm.seconds / entrant.scale
        return calls * len(entrant.made.weights if entrant.made is not None else (1,))

    def _whole_fits(self, ready: Sequence[Entrant], rounds: int) -> bool:
        """Whether every step of a generation can be run `rounds` times: its calls are there, and so is the time."""
        if not all(item.made is not None and item.made.sequence for item in ready):
            return False
        return self.until is None or time.monotonic() + _generations(ready) * rounds <= self.until

    def _rounds(self, ready: Sequence[Entrant], rounds: int, expected: float) -> None:
        """Rounds of everybody; one that fails is left out of those that follow."""
        samples: dict[str, list[float]] = {entrant.candidate.label: [] for entrant in ready}
        while ready and self.rounds < rounds:
            seats = [(_Turn if self.turns else _Seat)(self, entrant) for entrant in ready]
            try:
                for found in run_rounds(
                    seats,
                    [self._calls(entrant) for entrant in ready],
                    rounds - self.rounds,
                    seed=self.seed + self.rounds,
                    expected=expected,
                    until=self.until,
                    clock=time.monotonic,
                ):
                    self.rounds += 1
                    for entrant, seconds in zip(ready, found, strict=True):
                        samples[entrant.candidate.label].append(seconds)
                break
            except WorkerError:
                ready = [entrant for entrant in ready if entrant.ready]
        for entrant in ready:
            self._conclude(entrant, samples[entrant.candidate.label])

    def _calls(self, entrant: Entrant) -> int:
        assert entrant.warm is not None
        return 1 if self.whole else entrant.warm.calls_per_sample

    def _conclude(self, entrant: Entrant, samples: Sequence[float]) -> None:
        if not samples:
            entrant.fail("over budget", "no round would have been over within the budget")
            return
        assert entrant.warm is not None
        assert entrant.made is not None
        middle, low, high = spread(samples)
        entrant.times = Times(
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
        if entrant.worker is not None:
            with suppress(WorkerError):  # what was timed holds, even if the process died since
                entrant.remember()

    @property
    def patience(self) -> float | None:
        """When a sample is given up."""
        return None if self.until is None else self.until + PATIENCE_SECONDS


@dataclass
class _Seat:
    """A candidate whose process is there."""

    heats: Heats
    entrant: Entrant

    def sample(self, calls: int) -> float:
        """Seconds of a call; WorkerError, and the candidate has failed, where its process does."""
        worker = self.entrant.worker
        assert worker is not None
        time.sleep(PAUSE_SECONDS)
        with self.entrant.blamed():
            return worker.sample(calls, whole=self.heats.whole, until=self.heats.patience)


@dataclass
class _Bounded:
    """A process whose samples are given up at `until`."""

    worker: Worker
    until: float | None

    def sample(self, calls: int) -> float:
        """Seconds of a call; WorkerError where its process fails or is late."""
        return self.worker.sample(calls, until=self.until)


@dataclass
class _Turn:
    """A candidate whose process is started for every sample and ended after it."""

    heats: Heats
    entrant: Entrant

    def sample(self, calls: int) -> float:
        """Starts, compiles and warms up; then seconds of a call; errors as of `_Seat.sample`."""
        patience = self.heats.patience
        try:
            with self.entrant.blamed():
                worker = self.entrant.start(patience)
                warm_up(_Bounded(worker, patience), scale=self.entrant.scale, until=patience, clock=time.monotonic)
                seconds = worker.sample(calls, whole=self.heats.whole, until=patience)
                self.entrant.remember()
                return seconds
        finally:
            self.entrant.stop()


def _generations(entrants: Sequence[Entrant]) -> float:
    """Seconds that one generation of each takes, by the warm-up."""
    return sum(item.warm.seconds for item in entrants if item.warm is not None)
