"""How far long work is, and how long the rest will take."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` of `total` pieces after `seconds`; `seconds_left` is an estimate from the pace so far.

    `losses` {term: loss} are those of the piece, in training.
    """

    done: int
    total: int
    seconds: float
    seconds_left: float
    losses: Mapping[str, float] = field(default_factory=dict)


OnProgress = Callable[[Progress], None]


class Pace:
    """Times pieces of about the same length. `already` of `total` were done before, in no time of this run."""

    def __init__(self, total: int, already: int = 0, clock: Callable[[], float] = time.perf_counter) -> None:
        self._total, self._already, self._clock = total, already, clock
        self._start = clock()

    def after(self, done: int, losses: Mapping[str, float] | None = None) -> Progress:
        """The progress when `done` pieces in all are done."""
        seconds = self._clock() - self._start
        each = seconds / max(1, done - self._already)
        return Progress(done, self._total, seconds, each * (self._total - done), losses or {})
