"""Timed execution of a plan: rounds with a clock around every call, and rounds without."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from graphlab.errors import GraphlabError
from graphlab.measuring.plan import Plan, Step
from graphlab.measuring.templates import Slots


class Timer(Protocol):
    """A clock that is read at a mark and told apart later: on an accelerator the work is not done yet at the mark."""

    def mark(self) -> Any:
        """The present, as something `seconds` understands."""

    def finish(self) -> None:
        """Waits until the work before every mark is done."""

    def seconds(self, start: Any, end: Any) -> float:
        """Seconds between two marks."""


class CpuTimer:
    """The process's monotonic clock; operations on the CPU have returned when they are done."""

    def mark(self) -> int:
        """Nanoseconds."""
        return time.perf_counter_ns()

    def finish(self) -> None:
        """Nothing to wait for."""

    def seconds(self, start: int, end: int) -> float:
        """Seconds from `start` to `end`."""
        return (end - start) * 1e-9


class CudaTimer:
    """Events on the current stream, read after one synchronisation at the end of a round."""

    def mark(self) -> torch.cuda.Event:
        """An event recorded now."""
        event: torch.cuda.Event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]  # torch's own
        event.record()
        return event

    def finish(self) -> None:
        """Waits for the device."""
        torch.cuda.synchronize()

    def seconds(self, start: torch.cuda.Event, end: torch.cuda.Event) -> float:
        """Seconds from `start` to `end`; torch gives milliseconds."""
        return float(start.elapsed_time(end)) * 1e-3


def timer_for(device: torch.device) -> Timer:
    """The Timer of `device`."""
    return CudaTimer() if device.type == "cuda" else CpuTimer()


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds of each round: `walls` of the runs with clocks, `steps` of every call in them, `plain` without clocks."""

    walls: tuple[float, ...]
    steps: tuple[tuple[float, ...], ...]
    plain: tuple[float, ...]


def run_once(plan: Plan, slots: Slots, hint: str | None = None) -> Any:
    """The results of one run, untimed; GraphlabError names the node at which an operator fails.

    `hint` is what to do when the device cannot run it.
    """
    values = slots.copy()
    with torch.inference_mode():
        for step in plan.steps:
            try:
                step.run(values)
            except (RuntimeError, TypeError, ValueError, IndexError) as error:  # whatever a kernel may raise
                reason = " ".join(str(error).split())[:200]
                raise GraphlabError(f"{step.op} at node {step.name} cannot be run: {reason}", hint=hint) from error
        return plan.outputs(values)


def measure(plan: Plan, slots: Slots, timer: Timer, *, rounds: int, seconds: float | None = None) -> Measured:
    """`rounds` runs with clocks and as many without, in turn, after the caller's warm-up.

    With `seconds` no further round starts once they are over; one is always made.
    """
    walls: list[float] = []
    steps: list[tuple[float, ...]] = []
    plain: list[float] = []
    began = timer.mark()
    with torch.inference_mode(), _no_collection():
        for _ in range(rounds):
            wall, times = timed_round(plan.steps, slots, timer)
            walls.append(wall)
            steps.append(times)
            plain.append(plain_round(plan.steps, slots, timer))
            now = timer.mark()
            timer.finish()
            if seconds is not None and timer.seconds(began, now) >= seconds:
                break
    return Measured(tuple(walls), tuple(steps), tuple(plain))


def timed_round(steps: Sequence[Step], slots: Slots, timer: Timer) -> tuple[float, tuple[float, ...]]:
    """(seconds of one whole run, seconds of each call in it). A call's time includes freeing what it read last."""
    values = slots.copy()
    mark = timer.mark
    marks: list[Any] = []
    keep = marks.append
    start = mark()
    for step in steps:
        keep(mark())
        step.run(values)
        keep(mark())
    end = mark()
    timer.finish()
    pairs = zip(marks[::2], marks[1::2], strict=True)
    return timer.seconds(start, end), tuple(timer.seconds(before, after) for before, after in pairs)


def plain_round(steps: Sequence[Step], slots: Slots, timer: Timer) -> float:
    """Seconds of one whole run without clocks inside."""
    values = slots.copy()
    start = timer.mark()
    for step in steps:
        step.run(values)
    end = timer.mark()
    timer.finish()
    return timer.seconds(start, end)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Python's garbage collector would land in the time of whichever call it starts at."""
    gc.collect()
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
