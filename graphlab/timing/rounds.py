"""Rounds: who runs when. One candidate at a time, in an order drawn anew each round."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Protocol

Clock = Callable[[], float]

SAMPLE_SECONDS = 0.02
"""Calls shorter than this are made several times in a row, so that a sample is longer than what a clock or the
waking of threads adds to it."""
MOST_CALLS = 10_000
SETTLED = 3
SPREAD = 0.05
MOST_WARMUPS = 12
MOST_WARMUP_SECONDS = 20.0
WARMUP_RULE = (
    f"warm-up: samples until {SETTLED} in a row lie within {SPREAD:.0%} of their median, at most {MOST_WARMUPS} and "
    f"{MOST_WARMUP_SECONDS:g} s; "
    f"a sample is as many calls as fill {SAMPLE_SECONDS * 1e3:g} ms, after one that is not timed"
)


class Timed(Protocol):
    """What is timed."""

    def sample(self, calls: int) -> float:
        """Seconds of one call, the mean of `calls` in a row."""


@dataclass(frozen=True, slots=True)
class WarmUp:
    """How a candidate was warmed up: calls made, seconds of the last samples' median, whether these had settled."""

    calls: int
    seconds: float
    calls_per_sample: int
    stable: bool


def warm_up(timed: Timed, *, scale: float = 1.0, until: float | None = None, clock: Clock = time.monotonic) -> WarmUp:
    """Samples of `timed` until they settle (WARMUP_RULE); none is started after `until` on `clock` but the first.

    `scale` is how many calls a sample stands for without making them.
    """
    end = clock() + MOST_WARMUP_SECONDS
    until = end if until is None else min(until, end)
    first = timed.sample(1)
    calls, each = 1, calls_for(first / scale)
    samples: list[float] = []
    while len(samples) < MOST_WARMUPS:
        if clock() >= until:
            break
        samples.append(timed.sample(each))
        calls += each
        if settled(samples):
            return WarmUp(calls, median(samples[-SETTLED:]), each, True)
        each = max(each, calls_for(samples[-1] / scale)) if len(samples) == 1 else each
    return WarmUp(calls, median(samples[-SETTLED:] or [first]), each, False)


def calls_for(seconds: float) -> int:
    """How many calls of `seconds` make a sample."""
    if seconds <= 0:
        return MOST_CALLS
    return min(max(math.ceil(SAMPLE_SECONDS / seconds), 1), MOST_CALLS)


def settled(samples: Sequence[float]) -> bool:
    """Whether the last samples lie close together."""
    last = samples[-SETTLED:]
    middle = median(last)
    return len(last) == SETTLED and all(abs(value - middle) <= SPREAD * middle for value in last)


def orders(count: int, rounds: int, seed: int) -> list[list[int]]:
    """The order of `count` candidates in each of `rounds`, every one drawn anew; the same for the same seed."""
    rng = random.Random(seed)
    return [rng.sample(range(count), count) for _ in range(rounds)]


def run_rounds(
    timed: Sequence[Timed],
    calls: Sequence[int],
    rounds: int,
    *,
    seed: int,
    expected: float,
    until: float | None = None,
    clock: Clock = time.monotonic,
) -> Iterator[list[float]]:
    """Seconds of a call of each of `timed` in a round, at most `rounds` times.

    `expected` is how many seconds a round takes. No round starts that would, by it and by the longest so far, not be
    over at `until` on `clock`. An error of a sample ends the round it happens in; what was given before holds.
    """
    longest = expected
    for order in orders(len(timed), rounds, seed):
        start = clock()
        if until is not None and start + longest > until:
            return
        found = [0.0] * len(timed)
        for index in order:
            found[index] = timed[index].sample(calls[index])
        yield found
        longest = max(longest, clock() - start)
