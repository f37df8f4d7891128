"""What a prediction says: seconds of every kernel of a call and what bounds them. Estimates, never measurements."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from graphlab.kernels.data import Kernel, StageCall

RUNTIMES = ("eager-materialized", "eager", "compiled")
"""How a stage is run: PyTorch as it is with attention scores in memory, the same with fused attention, and a
compiled graph replayed without its host (torch.compile with CUDA graphs)."""

VARIANT = {"eager-materialized": "materialized", "eager": "fused", "compiled": "compiled"}
"""{runtime: the kernels it runs, a key of StageCall.order}."""

BOUNDS = ("compute", "memory", "launch", "idle")


class KernelTime(NamedTuple):
    """One kernel: seconds on the device, what bounds it (compute, memory or launch), and seconds its launch keeps
    the host busy. A view has no device seconds."""

    seconds: float
    bound: str
    host: float = 0.0


class KernelModel(Protocol):
    """Times kernels on one device."""

    @property
    def asynchronous(self) -> bool:
        """Whether the host runs ahead of the device (a GPU), so that launches hide behind kernels."""
        ...

    @property
    def runtimes(self) -> tuple[str, ...]:
        """The runtimes this model can time, of RUNTIMES."""
        ...

    @property
    def between_calls(self) -> float:
        """Seconds between two calls of a denoiser in which its scheduler works and the device waits."""
        ...

    def time(self, kernel: Kernel, runtime: str) -> KernelTime:
        """The time of one run of `kernel` under `runtime`, one of RUNTIMES."""
        ...

    def notes(self, call: StageCall) -> list[str]:
        """What the numbers for `call` rest on that a reader must know."""
        ...


class Slice(NamedTuple):
    """One kernel on the timeline of a call: when it starts and how long it runs, in seconds."""

    kernel: Kernel
    start: float
    seconds: float
    bound: str


@dataclass(frozen=True)
class CallTime:
    """One forward call of a stage on a device: `times[i]` is that of `call.kernels[i]`.

    `seconds` from the first launch to the last result; `busy` of them the device works, `idle` it waits for the
    host, `host` the host launches.
    """

    call: StageCall
    runtime: str
    times: tuple[KernelTime, ...]
    seconds: float
    busy: float
    host: float
    notes: tuple[str, ...] = ()

    @property
    def idle(self) -> float:
        """Seconds in which the device has nothing to do."""
        return max(self.seconds - self.busy, 0.0)

    def by(self, key: Callable[[Kernel], str]) -> dict[str, float]:
        """{key of a kernel: device seconds}, and {"idle": seconds} where the device waits; sums to `seconds`."""
        found: dict[str, float] = {}
        for index in self.call.order[VARIANT[self.runtime]]:
            name = key(self.call.kernels[index])
            found[name] = found.get(name, 0.0) + self.times[index].seconds
        if self.idle > 0:
            found["idle"] = found.get("idle", 0.0) + self.idle
        return found

    def bounds(self) -> dict[str, float]:
        """{one of BOUNDS: seconds}."""
        found: dict[str, float] = {}
        for index in self.call.order[VARIANT[self.runtime]]:
            time = self.times[index]
            found[time.bound] = found.get(time.bound, 0.0) + time.seconds
        if self.idle > 0:
            found["idle"] = self.idle
        return found

    def timeline(self, *, asynchronous: bool) -> Iterator[Slice]:
        """Every kernel with its start; views are left out."""
        issued = free = 0.0
        for index in self.call.order[VARIANT[self.runtime]]:
            time, kernel = self.times[index], self.call.kernels[index]
            issued += time.host
            start = max(issued, free) if asynchronous else free + time.host
            if time.seconds > 0:
                yield Slice(kernel, start, time.seconds, time.bound)
                free = start + time.seconds
            elif not asynchronous:
                free = start


def category(kernel: Kernel) -> str:
    """The operator category of a kernel."""
    return kernel.category


def role(kernel: Kernel) -> str:
    """The role of a kernel."""
    return kernel.role
