"""Which steps are worked out, and what follows for the others: exact for counts, weights that add up for seconds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from graphlab.generation.steps import KNOTS, Step, interpolated, knots, steps_of, weights
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
        **changes,  # type: ignore[arg-type]
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
