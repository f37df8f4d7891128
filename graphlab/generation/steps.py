"""Which steps of a stage differ, which of them are worked out, and how the others follow from those.

A denoiser's steps are all alike; a decoder's grow with its cache. Up to KNOTS distinct steps are worked out one by
one. Of more, KNOTS evenly spaced ones are, and what lies between follows: counts (FLOPs, bytes) from the parabola that
the neighbouring knots lie on, as they do where counts are polynomials of degree at most 2 in one length. Where they do
not (a sliding window fills up, another call holds the peak of memory) `doubtful` names more steps to work out, until
no step is left between two knots that lie on no parabola with their neighbours. Seconds follow in a straight line,
which is an estimate and part of one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from graphlab.sources.stage import axis_sizes, axis_texts
from graphlab.symbolic import names_in
from graphlab.workload import Stage, Workload

KNOTS = 9

CHECKED = 5
"""Knots in a row that must lie on one parabola: a bend in the middle of four equally far apart is one of theirs."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step: the values in force, with the batch that one call runs at, and how many such calls it makes."""

    index: int
    values: dict[str, int | float]
    sizes: dict[str, int]
    repeats: int
    deciding: tuple[int | float, ...] = ()

    @property
    def key(self) -> tuple[int | float, ...]:
        """Equal for steps of a stage that ask the same of a device: what its sizes are written in, and repeats."""
        return (*(self.deciding or self.sizes.values()), self.repeats)


def steps_of(workload: Workload, stage: Stage) -> list[Step]:
    """Every step of `stage`. Calls of one step run as one call at a multiple of the batch where pipelines do so."""
    names = sorted({name for text in axis_texts(stage).values() for name in names_in(text)})
    sizes: dict[tuple[int | float, ...], dict[str, int]] = {}
    found = []
    for index in range(workload.steps(stage)):
        values, calls = _values(workload, stage, index)
        deciding = tuple(values[name] for name in names if name in values)
        if deciding not in sizes:
            sizes[deciding] = axis_sizes(stage, values)
        found.append(Step(index, values, sizes[deciding], calls, deciding))
    return found


def first_step(workload: Workload, stage: Stage) -> Step:
    """The first of `steps_of`, without the others."""
    values, calls = _values(workload, stage, 0)
    return Step(0, values, axis_sizes(stage, values), calls)


def _values(workload: Workload, stage: Stage, index: int) -> tuple[dict[str, int | float], int]:
    """(values in force at step `index`, calls that are made one by one)."""
    values, calls = workload.step_values(stage, index), workload.calls_per_step(stage, index)
    if runs_batched(stage) and calls > 1 and "batch" in values:
        return {**values, "batch": int(values["batch"]) * calls}, 1
    return values, calls


def runs_batched(stage: Stage) -> bool:
    """Whether the calls of one step are one call: those of a stage that runs in steps, unless it says otherwise."""
    return stage.steps != 1 and not stage.separate_calls


_SIZES = frozenset({"batch", "height", "width", "frames", "tokens"})


def is_sampled(stage: Stage) -> bool:
    """Whether a sampler calls `stage` step by step, be it only once; not for one pass, or one a window of frames."""
    return stage.steps > 1 if isinstance(stage.steps, int) else not _SIZES.issuperset(names_in(stage.steps))


def distinct(steps: Sequence[Step]) -> list[Step]:
    """The first step of every kind, in order."""
    found: dict[tuple[int | float, ...], Step] = {}
    for step in steps:
        found.setdefault(step.key, step)
    return list(found.values())


def knots(steps: Sequence[Step]) -> list[Step]:
    """The steps to work out: the first of every kind, or KNOTS evenly spaced ones (first and last among them)."""
    kinds = distinct(steps)
    if len(kinds) <= KNOTS:
        return kinds
    last = len(kinds) - 1
    return [kinds[round(place * last / (KNOTS - 1))] for place in range(KNOTS)]


def doubtful(steps: Sequence[Step], at: Sequence[Step], counts: Sequence[Sequence[int]]) -> list[Step]:
    """The middles between neighbours of `at`, for whose counts (several a step) no parabola is known to hold.

    A parabola is known to hold between two neighbours when CHECKED knots in a row, the two among them, lie on it.
    Nothing is doubtful between knots that no step lies between.
    """
    kinds, places = distinct(steps), _places(steps, at)
    columns = list(zip(*counts, strict=True))
    found = []
    for left in range(len(places) - 1):
        low, high = places[left : left + 2]
        if high - low > 1 and any(_window(left, places, column) is None for column in columns):
            found.append(kinds[(low + high) // 2])
    return found


def interpolated(steps: Sequence[Step], at: Sequence[Step], values: Sequence[int]) -> list[int]:
    """`values`, known at the steps `at`, at every step; exact where counts like them left nothing doubtful."""
    places = _places(steps, at)
    known = dict(zip(places, values, strict=True))
    for left, (low, high) in enumerate(pairwise(places)):
        if high - low > 1:
            start = _window(left, places, values)
            own = slice(left, left + 2) if start is None else slice(start, start + 3)
            for place in range(low + 1, high):
                known[place] = round(_through(place, places[own], values[own]))
    return [known[place] for place in _places(steps, steps)]


def lines(steps: Sequence[Step], at: Sequence[Step]) -> list[tuple[int, float]]:
    """(i, share) of every step: it lies `share` of the way from `at[i]` to `at[i + 1]`, 0 for a step like `at[i]`."""
    places = _places(steps, at)
    found = []
    for place in _places(steps, steps):
        left = bisect_right(places, place) - 1
        beyond = place - places[left]
        found.append((left, beyond / (places[left + 1] - places[left]) if beyond else 0.0))
    return found


def weights(steps: Sequence[Step], at: Sequence[Step]) -> list[float]:
    """How many steps each of `at` stands for when the others are interpolated in straight lines; they add up."""
    found = [0.0] * len(at)
    for left, share in lines(steps, at):
        found[left] += 1 - share
        if share:
            found[left + 1] += share
    return found


def _places(steps: Sequence[Step], some: Sequence[Step]) -> list[int]:
    """Of each of `some`, how many kinds of `steps` come before its own: a kind may last several steps, or return."""
    ranks = {step.key: rank for rank, step in enumerate(distinct(steps))}
    return [ranks[step.key] for step in some]


def _window(left: int, places: Sequence[int], values: Sequence[int]) -> int | None:
    """The first of CHECKED knots in a row, `left` and its right neighbour among them, that lie on a parabola."""
    for start in sorted(range(left - CHECKED + 2, left + 1), key=lambda start: abs(start - left + 1)):
        if start < 0 or start + CHECKED > len(places):
            continue
        own = slice(start, start + 3)
        others = range(start + 3, start + CHECKED)
        if all(_through(places[other], places[own], values[own]) == values[other] for other in others):
            return start
    return None


def _through(x: int, places: Sequence[int], values: Sequence[int]) -> Fraction:
    """The polynomial of the least degree through (places, values), at `x`."""
    total = Fraction(0)
    for i, value in enumerate(values):
        term = Fraction(value)
        for j, place in enumerate(places):
            if j != i:
                term *= Fraction(x - place, places[i] - place)
        total += term
    return total
