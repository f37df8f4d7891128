"""Arithmetic of the clocks, on a fake one: nothing here depends on how fast the machine is."""

from __future__ import annotations

import gc

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from graphlab.errors import GraphlabError
from graphlab.measuring.interpret import (
    CpuTimer,
    CudaTimer,
    measure,
    plain_round,
    run_once,
    timed_round,
    timer_for,
)
from graphlab.measuring.plan import Plan, Step
from tests.measuring.modules import CPU, FakeTimer, Mixed, captured, planned


def steps(count: int) -> tuple[Step, ...]:
    return tuple(Step(f"n{index}", "op", lambda slots: None, ()) for index in range(count))


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 10)), min_size=1, max_size=20))
def test_times_are_what_passes_between_the_two_marks_of_a_call(pairs: list[tuple[float, float]]) -> None:
    gaps = [gap for pair in pairs for gap in pair]
    timer = FakeTimer([*gaps, 1.0])
    wall, times = timed_round(steps(len(pairs)), [], timer)
    assert times == pytest.approx([work for _, work in pairs])
    assert wall == pytest.approx(sum(gaps) + 1.0)
    assert sum(times) <= wall
    assert timer.finished == 1


def test_a_plain_round_reads_the_clock_twice() -> None:
    timer = FakeTimer([7.0])
    assert plain_round(steps(5), [], timer) == 7.0
    assert timer.marks == 2


def test_rounds_alternate_and_are_as_many_as_asked() -> None:
    made: list[str] = []
    plan = Plan((Step("n", "op", lambda slots: made.append("run"), ()),), 0, {}, {}, {}, ())
    measured = measure(plan, [], FakeTimer([1.0] * 100), rounds=3)
    assert len(made) == 6
    assert measured.steps == ((1.0,),) * 3
    assert measured.walls == (3.0,) * 3
    assert measured.plain == (1.0,) * 3


@pytest.mark.parametrize(("seconds", "rounds"), [(0.001, 1), (7.0, 1), (7.5, 2), (1000.0, 4)])
def test_no_round_starts_after_the_budget_and_one_is_always_made(seconds: float, rounds: int) -> None:
    plan = Plan(steps(1), 0, {}, {}, {}, ())
    measured = measure(plan, [], FakeTimer([1.0] * 100), rounds=4, seconds=seconds)
    assert len(measured.walls) == len(measured.plain) == len(measured.steps) == rounds


def test_rounds_do_not_touch_the_slots_they_are_given_and_garbage_is_collected_after() -> None:
    seen: list[bool] = []

    def run(slots: list[object]) -> None:
        seen.append(gc.isenabled())
        slots[0] = None

    slots: list[object] = ["weight"]
    measure(Plan((Step("n", "op", run, ()),), 1, {}, {}, {}, ()), slots, FakeTimer([1.0] * 50), rounds=2)
    assert slots == ["weight"]
    assert seen == [False] * 4
    assert gc.isenabled()


def test_a_failing_operator_is_named() -> None:
    program = captured(Mixed(), torch.ones(2, 3, 8))
    plan, weights = planned(program)
    with pytest.raises(GraphlabError, match=r"aten\.linear\.default at node linear cannot be run: .*pass --dtype"):
        run_once(plan, plan.slots(weights, {"x": torch.ones(2, 3, 9)}), hint="pass --dtype float32")


def test_the_cpu_clock_counts_seconds() -> None:
    timer = CpuTimer()
    assert timer.seconds(0, 1_500_000_000) == 1.5
    first, second = timer.mark(), timer.mark()
    assert second >= first
    assert isinstance(timer_for(CPU), CpuTimer)
    assert isinstance(timer_for(torch.device("cuda")), CudaTimer)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_events_time_the_device() -> None:
    timer = CudaTimer()
    left = torch.ones(2048, 2048, device="cuda")
    start = timer.mark()
    for _ in range(10):
        left = left @ left
    end = timer.mark()
    timer.finish()
    assert timer.seconds(start, end) > 0


def test_cuda_events_are_read_in_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    class Event:
        def __init__(self, enable_timing: bool) -> None:
            assert enable_timing
            self.recorded = 0

        def record(self) -> None:
            self.recorded += 1

        def elapsed_time(self, end: Event) -> float:
            assert self.recorded == end.recorded == 1
            return 250.0

    waited: list[int] = []
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: waited.append(1))
    wall, times = timed_round(steps(3), [], CudaTimer())
    assert (wall, times) == (0.25, (0.25,) * 3)
    assert waited == [1]
