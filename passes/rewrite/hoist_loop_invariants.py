"""hoist-loop-invariants: what a denoising loop need not compute again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from graphlab.hoisting.hoist import NAME, hoist, hoist_stage
from graphlab.hoisting.result import HoistResult
from graphlab.hoisting.stage_rewrite import StageRewrite
from graphlab.program import Program
from graphlab.workload import Workload


@dataclass(frozen=True)
class HoistLoopInvariants(StageRewrite):
    """Splits a stage into a prologue run once, a table over the schedule, and the step of the loop.

    What depends on invariant inputs alone (text keys and values) is computed once, what depends on the timestep and
    on those (embeddings, modulation) once a timestep; their weights leave the loop. Sizes are no dependence.
    Before: `step(sample, timestep, text)`. After: `k = prologue(text)`, `row = table(timestep, k)` for each
    timestep, `step(sample, k, row)`.
    """

    name: ClassVar[str] = NAME

    invariant: tuple[str, ...] = field(
        default=(), metadata={"help": "inputs that stay the same in every step; a stage's roles say so by themselves"}
    )
    schedule: tuple[str, ...] = field(
        default=(), metadata={"help": "inputs that are known for every step before the loop: the timestep"}
    )

    def __post_init__(self) -> None:
        """One name, or several joined by "+", may be given as text."""
        for key in ("invariant", "schedule"):
            object.__setattr__(self, key, names(getattr(self, key)))

    def run(self, program: Program) -> HoistResult:
        """`program` split; inputs that no option names step."""
        return hoist(program, self.invariant, self.schedule)

    def run_stage(
        self, workload: Workload, stage: str, program: Program | None = None, *, dynamic: bool = True
    ) -> HoistResult:
        """`stage` split by the roles of its inputs, which the options override by name."""
        return hoist_stage(workload, stage, program, dynamic=dynamic, invariant=self.invariant, schedule=self.schedule)


def names(value: str | Sequence[str]) -> tuple[str, ...]:
    """("a", "b") of "a+b" or of a sequence."""
    return tuple(part.strip() for part in value.split("+") if part.strip()) if isinstance(value, str) else tuple(value)
