"""Which steps of a stage differ, which of them are worked out, and how the others follow from those.

A denoiser's steps are all alike; a decoder's grow with its cache. Up to KNOTS distinct steps are worked out one by
one. Of more, KNOTS evenly spaced ones are, and what lies between is interpolated: counts (FLOPs, bytes) by a
parabola through three neighbouring knots, which is exact because they are polynomials of degree at most 2 in one
length; seconds in a straight line, which is an estimate and part of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from graphlab.sources.stage import axis_sizes
from graphlab.workload import Stage, Workload

KNOTS = 9


@dataclass(frozen=True, slots=True)
class Step:
    """One step: the values in force, with the batch that one call runs at, and how many such calls it makes."""

    index: int
    values: dict[str, int | float]
    sizes: dict[str, int]
    repeats: int

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for steps that ask the same of a device."""
        return (*sorted(self.sizes.items()), self.repeats)


def steps_of(workload: Workload, stage: Stage) -> list[Step]:
    """Every step of `stage`. Calls of one step run as one call at a multiple of the batch where pipelines do so."""
    found = []
    for index in range(workload.steps(stage)):
        values, calls = workload.step_values(stage, index), workload.calls_per_step(stage, index)
        if runs_batched(stage) and calls > 1 and "batch" in values:
            values, calls = {**values, "batch": int(values["batch"]) * calls}, 1
        found.append(Step(index, values, axis_sizes(stage, values), calls))
    return found


def runs_batched(stage: Stage) -> bool:
    """Whether the calls of one step are one call: those of a stage that runs in steps, unless it says otherwise."""
    return stage.steps != 1 and not stage.separate_calls


def knots(steps: Sequence[Step]) -> list[Step]:
    """The steps to work out: the first of every kind, or KNOTS evenly spaced ones (first and last among them)."""
    distinct = list({step.key: step for step in reversed(steps)}.values())[::-1]
    if len(distinct) <= KNOTS:
        return distinct
    last = len(distinct) - 1
    return [distinct[round(place * last / (KNOTS - 1))] for place in range(KNOTS)]


def interpolated(steps: Sequence[Step], at: Sequence[Step], values: Sequence[int]) -> list[int]:
    """`values`, known at the steps `at`, at every step; exact for a polynomial of degree 2 in the step."""
    known = {step.key: value for step, value in zip(at, values, strict=True)}
    places = [step.index for step in at]
    return [known[step.key] if step.key in known else _parabola(step.index, places, values) for step in steps]


def _parabola(x: int, places: Sequence[int], values: Sequence[int]) -> int:
    nearest = sorted(sorted(range(len(places)), key=lambda i: abs(places[i] - x))[:3])
    total = Fraction(0)
    for i in nearest:
        term = Fraction(values[i])
        for j in nearest:
            if j != i:
                term *= Fraction(x - places[j], places[i] - places[j])
        total += term
    return round(total)


def weights(steps: Sequence[Step], at: Sequence[Step]) -> list[float]:
    """How many steps each of `at` stands for when the others are interpolated in straight lines; they add up."""
    index = {step.key: i for i, step in enumerate(at)}
    found = [0.0] * len(at)
    places = [step.index for step in at]
    for step in steps:
        if step.key in index:
            found[index[step.key]] += 1
            continue
        right = next(i for i, place in enumerate(places) if place > step.index)
        share = (step.index - places[right - 1]) / (places[right] - places[right - 1])
        found[right - 1] += 1 - share
        found[right] += share
    return found
