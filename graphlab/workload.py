"""A `Workload` is what a user waits for: the stages of one generation and how often each of them runs.

Sizes are written once, as text over the workload's variables ("height // 8"), so a workload can be built,
listed and rebound without importing torch and without building a module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from graphlab.errors import BindingError, UnknownNameError
from graphlab.names import nearest
from graphlab.symbolic import evaluate_text, names_in

if TYPE_CHECKING:
    import torch

    from graphlab.program import Program

Size: TypeAlias = int | str
"""A dimension: an integer, or an integer expression over workload variables such as "height // 8"."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One thing a user may `--set`: `height` (pixels), `frames`, `batch`, `steps`, `guidance`, `tokens`, ...

    `multiple_of` and `minimum` and `maximum` are what the model accepts; a binding outside is an error
    that says so. `guidance` is a scale: above 1 (or whatever the model's pipeline tests) it doubles calls.
    """

    name: str
    default: int | float
    help: str
    minimum: int | float = 1
    maximum: int | float | None = None
    multiple_of: int = 1


@dataclass(frozen=True, slots=True)
class TensorInput:
    """One tensor argument of a stage's module: sizes over the workload's variables, and a dtype name.

    `dtype` is a torch dtype name ("float16", "int64"). `role` says what the tensor is where that is
    known ("latent", "text", "timestep", "tokens", "cache", "mask", "condition"); it is documentation, the
    analyses tell roles from data flow. `axes` binds packed axes that data flow cannot see: for FLUX's
    hidden_states (1, tokens, 64) it is {1: ("height", "width")}; keys are dimension indices, values the
    names among "batch", "height", "width", "frames", "tokens" whose product the axis is.
    """

    shape: tuple[Size, ...]
    dtype: str
    role: str = ""
    axes: Mapping[int, tuple[str, ...]] = field(default_factory=dict)


Argument: TypeAlias = TensorInput | Mapping[str, "Argument"] | tuple["Argument", ...] | int | float | bool | str | None
"""What a stage passes to one parameter of `forward`: a tensor, a nested container of them, or a constant."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One module of a workload and how often a generation runs it.

    `build` returns the module on the meta device in eval mode and in its `dtype` (no weights; see
    `graphlab.components.base.build_on_meta`). `inputs` maps parameters of `forward` to arguments. `steps` and
    `calls_per_step` are expressions over the workload's variables; "2 if guidance > 1 else 1" is written
    with Python's conditional expression, and `calls_per_step` may read `step`. A stage of 0 steps does not run
    under those bindings and leaves the report. `step_bindings` are expressions over the variables and `step`
    (0-based), evaluated for every step, e.g. {"cache": "tokens + step"}: what they bind changes during the
    generation. `program` is set instead of `build` when the graph is already there (a `.pt2`).
    `identity` is text that changes whenever what `build` makes changes (class and configuration); the disk
    cache keys on it, and an empty one is never cached. Stages with the same nonempty `weights` share theirs
    (prefill and decode): sums count them once. `square` says that the model only takes equal sides. The calls of
    one step run as one call at a multiple of the batch, as pipelines do guidance, unless `separate_calls` is set.
    `holds_values` says that what `build` makes holds trained values, which stay whatever weights are named. `owner` is
    who a stage comes from where that is a distribution or a file ("model mine of my-plugin 1.0"): errors begin with it.
    """

    name: str
    dtype: str
    inputs: Mapping[str, Argument]
    build: Callable[[], torch.nn.Module] | None = None
    program: Program | None = None
    steps: Size = 1
    calls_per_step: Size = 1
    batch: Size = "batch"
    step_bindings: Mapping[str, Size] = field(default_factory=dict)
    assumptions: tuple[str, ...] = ()
    strict: bool = False
    identity: str = ""
    weights: str = ""
    square: bool = False
    separate_calls: bool = False
    holds_values: bool = False
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Workload:
    """The stages of one generation in the order they run, with the variables that size them.

    `bindings` are the values in force (defaults overridden by the user); `bind` returns a new Workload.
    `source` is what the user asked for. `assumptions` are what could not be read from the source and was
    taken from somewhere else; they reach every report.
    """

    name: str
    source: str
    stages: tuple[Stage, ...]
    variables: tuple[Variable, ...] = ()
    bindings: Mapping[str, int | float] = field(default_factory=dict)
    assumptions: tuple[str, ...] = ()
    note: str = ""

    def values(self) -> dict[str, int | float]:
        """{variable: value} in force, in declaration order."""
        return {v.name: self.bindings.get(v.name, v.default) for v in self.variables}

    def bind(self, bindings: Mapping[str, int | float]) -> Workload:
        """This workload with `bindings` in force; BindingError names the valid names or the range broken."""
        known = {v.name: v for v in self.variables}
        for name, value in bindings.items():
            if name not in known:
                raise BindingError(
                    f"unknown binding {name!r} for {self.name}",
                    hint=f"{nearest(name, known)}valid names: {', '.join(known) or 'none'}",
                )
            check_range(known[name], value)
        return replace(self, bindings={**self.bindings, **bindings})

    def stage(self, name: str) -> Stage:
        """The stage called `name`; UnknownNameError lists the stages otherwise."""
        for stage in self.stages:
            if stage.name == name:
                return stage
        names = [s.name for s in self.stages]
        raise UnknownNameError(
            f"{self.name} has no stage {name!r}", hint=f"{nearest(name, names)}stages: {', '.join(names)}"
        )

    def running(self, name: str) -> Stage:
        """The stage called `name`; BindingError when it does not run under the bindings in force."""
        stage = self.stage(name)
        if self.steps(stage) < 1:
            raise BindingError(f"stage {name} of {self.name} does not run under {self.values()}")
        return stage

    def steps(self, stage: Stage) -> int:
        """How many steps of `stage` one generation runs, under the bindings in force."""
        return evaluate_text(stage.steps, self.values())

    def calls_per_step(self, stage: Stage, step: int = 0) -> int:
        """How many forward calls `step` (0-based) of `stage` makes: 2 with classifier-free guidance, else 1."""
        return evaluate_text(stage.calls_per_step, {**self.values(), "step": step})

    def calls(self, stage: Stage) -> int:
        """How many forward calls of `stage` one generation makes, over all its steps."""
        steps = self.steps(stage)
        if isinstance(stage.calls_per_step, int) or "step" not in names_in(stage.calls_per_step):
            return steps * self.calls_per_step(stage) if steps else 0
        return sum(self.calls_per_step(stage, step) for step in range(steps))

    @property
    def active(self) -> tuple[Stage, ...]:
        """The stages that run at least once under the bindings in force; BindingError when none does."""
        found = tuple(stage for stage in self.stages if self.steps(stage) > 0)
        if not found:
            raise BindingError(f"no stage of {self.name} runs under {self.values()}")
        return found

    def step_values(self, stage: Stage, step: int) -> dict[str, int | float]:
        """{variable: value} at `step` (0-based) of `stage`, including what changes from step to step."""
        values: dict[str, Any] = self.values()
        scope = {**values, "step": step}
        return {**values, **{k: evaluate_text(e, scope) for k, e in stage.step_bindings.items()}}


MOST_BOUND = 2**31 - 1
"""The largest value a variable may be bound to: products of sizes past it overflow torch's element counts."""


def check_range(variable: Variable, value: int | float) -> None:
    """BindingError, with what it takes, for a value that `variable` cannot have."""
    expected = f"at least {variable.minimum}"
    if variable.maximum is not None:
        expected += f", at most {variable.maximum}"
    if variable.multiple_of != 1:
        expected += f", a multiple of {variable.multiple_of}"
    integral = isinstance(variable.default, int)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or (integral and value != int(value)):
        raise BindingError(f"{variable.name}={value} is not {'an integer' if integral else 'a number'}")
    if abs(value) > MOST_BOUND:
        raise BindingError(f"{variable.name}={value} is impossible", hint=f"expected at most {MOST_BOUND}")
    high = variable.maximum is not None and value > variable.maximum
    if value < variable.minimum or high or (variable.multiple_of != 1 and value % variable.multiple_of):
        raise BindingError(f"{variable.name}={value} is impossible", hint=f"expected {expected}")
