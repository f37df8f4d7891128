"""`Probe`: one operator at one size, called as the timed run of a captured model calls it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import torch

from graphlab.calibrating.arena import Arena
from graphlab.measuring.templates import Slot, Slots, resolver

Clock: TypeAlias = Callable[[], float]
"""Seconds since some moment."""

OFTEN, SHORT = 5, 0.0005
"""Samples a visit of a probe whose call takes less than SHORT seconds; longer calls are sampled once."""

OTHERS, MOST_OTHERS = 4, 8 << 20
"""Bytes read between the writing of a tensor and its use, in multiples of the bytes of its user, and at most."""


class Operation(NamedTuple):
    """An ATen operator with its arguments; `fresh` are those that the operator before it in a model has just made."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = {}  # noqa: RUF012  # read only
    fresh: tuple[torch.Tensor, ...] = ()


@dataclass(frozen=True, slots=True)
class Probe:
    """`build(arena)` gives the operations that samples rotate through; they differ in the memory they read alone.

    `sizes` are those of the table `table` along its axes.
    """

    table: str
    sizes: tuple[int, ...]
    build: Callable[[Arena], Sequence[Operation]]


@dataclass(frozen=True, slots=True)
class Call:
    """`run()` makes one call. `touch()` comes before: it writes the fresh arguments, as the operator that made them
    would have, then reads as much else as that operator would have read, which large tensors do not outlast in a cache.
    """

    run: Callable[[], None]
    touch: Callable[[], None]


def calls_of(operations: Sequence[Operation], arena: Arena) -> tuple[list[Call], Callable[[], None]]:
    """(a Call an operation, a function that frees the result of the last).

    A call is what `graphlab.measuring.plan` makes of it: arguments looked up in slots, the result put into one.
    """
    slots: Slots = [None]

    def placed(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            slots.append(value)
            return Slot(len(slots) - 1)
        return [placed(item) for item in value] if isinstance(value, list) else value

    def call_of(operation: Operation) -> Call:
        function, fresh = operation.function, operation.fresh
        others = arena.stream(min(OTHERS * _nbytes(operation), MOST_OTHERS))
        positional = resolver(tuple(placed(value) for value in operation.args))
        named = resolver({key: placed(value) for key, value in operation.kwargs.items()})

        def run() -> None:
            slots[0] = function(*positional(slots), **named(slots))

        def touch() -> None:
            for tensor in fresh:
                tensor.mul_(1.0)
            if len(others):
                others.sum()

        return Call(run, touch)

    def free() -> None:
        slots[0] = None

    return [call_of(operation) for operation in operations], free


def _nbytes(operation: Operation) -> int:
    """Bytes of the tensors among the arguments, those in lists included."""
    listed = [value for value in operation.args if isinstance(value, list)]
    values = [*operation.args, *(item for items in listed for item in items)]
    return sum(value.numel() * value.element_size() for value in values if isinstance(value, torch.Tensor))


@dataclass(slots=True)
class Sampler:
    """A probe that is ready to run. A sample is one call, right after `between` and after its arguments were written.

    Not the mean of many calls in a row: in a model other operators come between two calls of one, and the processor
    has half forgotten its instructions, branches and addresses by then. `between` runs such operators.
    """

    probe: Probe
    calls: Sequence[Call]
    free: Callable[[], None]
    between: Callable[[], None]
    clock: Clock = time.perf_counter
    samples: list[float] = field(default_factory=list)
    often: int = 1

    def warm_up(self) -> None:
        """Makes two calls, unsampled: kernels are built in the first. A short second one makes samples plenty."""
        self._run(0)
        self.often = OFTEN if self._run(1) < SHORT else 1

    def sample(self) -> None:
        """Adds the seconds of a few calls if they are short, after one that is not counted, or else of one."""
        first = len(self.samples)
        if self.often > 1:
            self._run(first)
        self.samples += [self._run(first + 1 + number) for number in range(self.often)]

    def _run(self, number: int) -> float:
        call, clock = self.calls[number % len(self.calls)], self.clock
        self.between()
        call.touch()
        run = call.run
        start = clock()
        run()
        seconds = clock() - start
        self.free()
        return seconds


def sampler(probe: Probe, arena: Arena, between: Callable[[], None], clock: Clock = time.perf_counter) -> Sampler:
    """`probe` with its tensors from `arena`."""
    calls, free = calls_of(probe.build(arena), arena)
    return Sampler(probe, calls, free, between, clock)
