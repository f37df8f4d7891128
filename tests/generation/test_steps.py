"""Which steps are worked out, and what follows for the others: exact for counts, weights that add up for seconds."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphlab.generation.steps import (
    KNOTS,
    Step,
    doubtful,
    interpolated,
    is_sampled,
    knots,
    lines,
    steps_of,
    weights,
)
from graphlab.workload import Stage, TensorInput, Variable, Workload


def growing(count: int) -> list[Step]:
    return [Step(i, {"cache": i}, {"x.d0": i + 1}, 1) for i in range(count)]


@given(st.integers(1, 400), st.tuples(*[st.integers(0, 10**12)] * 3))
def test_a_parabola_through_the_knots_is_exact_for_counts_of_degree_2(count: int, terms: tuple[int, int, int]) -> None:
    steps = growing(count)
    at = knots(steps)

    def value(step: Step) -> int:
        return terms[0] + terms[1] * step.index + terms[2] * step.index**2

    assert interpolated(steps, at, [value(step) for step in at]) == [value(step) for step in steps]


@given(st.integers(1, 400))
def test_weights_add_up_and_are_exact_for_what_grows_in_a_line(count: int) -> None:
    steps = growing(count)
    at = knots(steps)
    assert len(at) <= KNOTS
    assert (at[0], at[-1]) == (steps[0], steps[-1])
    found = weights(steps, at)
    assert abs(sum(found) - count) < 1e-9 * count
    line = sum(w * (3 + 2 * step.index) for w, step in zip(found, at, strict=True))
    assert abs(line - sum(3 + 2 * step.index for step in steps)) < 1e-9 * count**2 + 1e-6


def test_equal_steps_are_worked_out_once() -> None:
    steps = [Step(i, {}, {"x.d0": 2}, 1 + (i >= 30)) for i in range(50)]
    at = knots(steps)
    assert [step.index for step in at] == [0, 30]
    assert weights(steps, at) == [30, 20]
    assert interpolated(steps, at, [7, 9]) == [7] * 30 + [9] * 20


def workload(**changes: object) -> Workload:
    stage = Stage(
        "denoiser",
        "float32",
        {"x": TensorInput(("batch", 3), "float32")},
        steps="steps",
        calls_per_step="2 if step < stop * steps else 1",
        **changes,  # type: ignore[arg-type]  # fields by name
    )
    variables = (Variable("batch", 3, "b"), Variable("steps", 4, "s"), Variable("stop", 0.5, "stop", minimum=0))
    return Workload("made", "made", (stage,), variables)


def test_guided_calls_are_one_call_at_twice_the_batch() -> None:
    made = workload()
    found = steps_of(made, made.stages[0])
    assert [(step.sizes["x.d0"], step.repeats) for step in found] == [(6, 1), (6, 1), (3, 1), (3, 1)]


def test_a_pipeline_that_calls_twice_is_called_twice() -> None:
    made = workload(separate_calls=True)
    found = steps_of(made, made.stages[0])
    assert [(step.sizes["x.d0"], step.repeats) for step in found] == [(3, 2), (3, 2), (3, 1), (3, 1)]


def refined(steps: list[Step], value: Callable[[Step], int]) -> list[Step]:
    at = knots(steps)
    while more := doubtful(steps, at, [[value(step)] for step in at]):
        at = sorted([*at, *more], key=lambda step: step.index)
    return at


@given(st.integers(10, 300), st.integers(0, 300), st.integers(0, 300), st.integers(1, 50))
def test_counts_that_bend_are_exact_where_nothing_is_doubtful(count: int, bend: int, other: int, slope: int) -> None:
    steps = growing(count)

    def value(step: Step) -> int:  # a sliding window that fills up, and a peak that another call takes over
        return max(7 * min(step.index, bend) + 100, slope * (step.index - other))

    at = refined(steps, value)
    assert interpolated(steps, at, [value(step) for step in at]) == [value(step) for step in steps]
    assert sum(weights(steps, at)) == pytest.approx(count)


def test_only_bends_are_looked_at_closely() -> None:
    steps = growing(1024)
    assert refined(steps, lambda step: 3 * step.index**2 + 1) == knots(steps)
    assert len(refined(steps, lambda step: min(step.index, 700))) < 40


def test_a_bend_in_the_middle_of_four_even_knots_is_seen() -> None:
    steps = growing(33)  # knots are 4 apart
    at = refined(steps, lambda step: max(10 * step.index, 12 * step.index - 28))  # bends at 14, between 12 and 16
    assert {12, 14, 16} <= {step.index for step in at}
    assert len(at) > KNOTS


def test_steps_of_a_kind_that_lasts_or_returns_are_told_by_their_kind() -> None:
    steps = [Step(i, {}, {"x.d0": size}, 1) for i, size in enumerate([i // 2 for i in range(60)] + [4, 5])]
    at = knots(steps)
    assert len(at) == KNOTS
    assert interpolated(steps, at, [10 * step.sizes["x.d0"] for step in at]) == [10 * s.sizes["x.d0"] for s in steps]
    assert sum(weights(steps, at)) == pytest.approx(62)
    assert len(lines(steps, at)) == 62


SAMPLED = [
    (1, False),
    (2, True),
    ("steps", True),
    ("steps_2", True),
    ("1 + (frames - 11) // 6", False),
    ("loops", True),
]


@pytest.mark.parametrize(("steps", "sampled"), SAMPLED)
def test_a_sampled_stage_is_told_by_what_its_steps_count(steps: int | str, sampled: bool) -> None:
    assert is_sampled(Stage("made", "float32", {}, steps=steps)) is sampled
