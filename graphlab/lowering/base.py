"""What a backend is: a frozen dataclass of options that makes a callable of a Program."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import torch

from graphlab.hoisting.result import HoistResult
from graphlab.hoisting.runner import HoistedStage
from graphlab.lowering.contract import called, check_lowered, named, why_unavailable
from graphlab.lowering.errors import BackendError
from graphlab.lowering.resident import peak_bytes, release, reset_peak, resident_bytes
from graphlab.program import Program
from graphlab.rewriting.options import option

Tensors: TypeAlias = "Mapping[str, torch.Tensor]"
Call: TypeAlias = "Callable[[Tensors], Sequence[torch.Tensor]]"
"""{input name: tensor} to the results of a program in the order of its output node."""

DTYPES = ("float32", "float16", "bfloat16")


@dataclass(frozen=True, slots=True)
class Compiled:
    """A program made callable.

    `call` takes {input name of the program: tensor} and returns a tuple of the results in the order of the program's
    output node. `compile_seconds` is the wall time of making it, `peak_bytes` the most memory this process held while
    it was made, `resident_bytes` what it held more afterwards than before (weights read from a mapped file are in it
    only once they are read); both None where the system does not say. `device_bytes` is the growth of memory in use
    on the accelerator, None on the CPU. `notes` say what the backend did that one would not expect.
    """

    call: Call
    compile_seconds: float
    peak_bytes: int | None
    resident_bytes: int | None
    device_bytes: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lowered:
    """What `Backend.lower` makes: the callable, and what one should know about it."""

    call: Call
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Backend(ABC):
    """Base of every backend; a subclass is a frozen dataclass whose fields are its options.

    `name` is what users write. One line of help is the first line of the class docstring. Programs given to it are
    already in `dtype` (`graphlab bench` captures the stage in it); `threads` is what one call may use.
    """

    name: ClassVar[str]

    dtype: str | None = option(None, "weights and inputs in it; the source's own by default", choices=DTYPES)
    threads: int | None = option(None, "threads of one call; as many as the runtime takes by default", minimum=1)

    @abstractmethod
    def unavailable(self) -> str | None:
        """Why this cannot run here, with what to do about it; None where it can."""

    @abstractmethod
    def lower(self, program: Program, values: Tensors) -> Lowered:
        """`program` as a callable; `values` are {key: CPU tensor} of everything it holds, read one at a time."""

    @property
    def place(self) -> torch.device:
        """Where inputs are best put."""
        return torch.device("cpu")

    @property
    def computes(self) -> str | None:
        """The dtype products are computed in where it is another than the program's own."""
        return self.dtype

    @property
    def leaves_out(self) -> tuple[str, ...]:
        """Passes of a level of -O that a program is not rewritten by for it: its runtime loses by what they make."""
        return ()

    def synchronize(self) -> None:
        """Waits until the work of every call is done."""
        if self.place.type == "cuda":
            torch.cuda.synchronize()

    def compile(self, program: Program, values: Tensors) -> Compiled:
        """`program` compiled, with the time and memory that took.

        `values` are {state-dict key or constant name: CPU tensor} of everything the program holds. BackendError when
        the backend is not available here, the program has no torch program behind it or is in another dtype than asked
        for, or the backend cannot compile it.
        """
        self.require()
        if program.exported is None:
            raise BackendError(f"{program.name} is only known by its graph, which cannot be run")
        self._check_dtype(program)
        return measured(self, program.name, lambda: self.lower(program, values))

    def compile_hoisted(self, result: HoistResult, values: Tensors) -> HoistedStage:
        """Every part of `result` compiled; errors as of `compile`."""
        return HoistedStage(result, {part: self.compile(item, values).call for part, item in result.programs})

    def require(self) -> None:
        """BackendError where the backend is not available here."""
        reason = why_unavailable(self)
        if reason is not None:
            raise BackendError(f"{called(self)} cannot run here: {reason}")

    def _check_dtype(self, program: Program) -> None:
        found = floats_of(program)
        if self.dtype is not None and found and self.dtype not in found:
            raise BackendError(
                f"{program.name} is in {', '.join(found)}, {called(self)} was asked for {self.dtype}",
                hint=f"capture it in {self.dtype}",
            )


def measured(backend: Backend, name: str, make: Callable[[], Lowered]) -> Compiled:
    """What `make` makes of `name`, with time and memory; BackendError for whatever the runtime raises."""
    release()
    reset_peak()
    before, used = resident_bytes(), _device_used(backend)
    start = time.perf_counter()
    with named(backend, f"cannot compile {name}"):  # compilers and runtimes raise what they like
        lowered = make()
    if not isinstance(lowered, Lowered):
        raise BackendError(f"{called(backend)} made a {type(lowered).__name__} of {name}, expected a Lowered")
    check_lowered(backend, name, lowered.call, lowered.notes)
    with named(backend, "cannot be waited for"):
        backend.synchronize()
    seconds = time.perf_counter() - start
    peak = peak_bytes()
    release()
    after, used_after = resident_bytes(), _device_used(backend)
    grown = None if before is None or after is None else max(after - before, 0)
    device = None if used is None or used_after is None else max(used_after - used, 0)
    return Compiled(lowered.call, seconds, peak, grown, device, lowered.notes)


def floats_of(program: Program) -> tuple[str, ...]:
    """The floating dtypes of the weights and inputs of `program`, sorted."""
    nodes = (*program.graph.weights, *program.graph.inputs)
    return tuple(sorted({node.out.dtype for node in nodes if "float" in node.out.dtype}))


def ordered_inputs(program: Program, inputs: Mapping[str, Any]) -> list[Any]:
    """The values of `inputs` in the order the program takes them; BackendError names those that are missing."""
    names = [node.name for node in program.graph.inputs]
    missing = [name for name in names if name not in inputs]
    if missing:
        raise BackendError(f"{program.name} needs the inputs {', '.join(missing)}")
    return [inputs[name] for name in names]


def _device_used(backend: Backend) -> int | None:
    """Bytes in use on the accelerator, by any process: runtimes with allocators of their own are seen too."""
    if backend.place.type != "cuda":
        return None
    free, total = torch.cuda.mem_get_info(backend.place)
    return int(total - free)
