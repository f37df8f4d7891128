"""What reusing features says about itself: two programs, what is kept between steps, costs, and how far off it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from graphlab.hoisting.result import BoundaryValue, PartCost
from graphlab.program import Program
from graphlab.rewriting.change import Change, Skip

if TYPE_CHECKING:
    from graphlab.verification.result import Verification

APPROXIMATE = "approximate"
"""What the history entry of such a program ends with."""


@dataclass(frozen=True, slots=True)
class ReuseReport:
    """Costs of one call, at `sizes` ({symbol of the original graph: size}), and how often each program runs.

    `before` is the stage whole, `refresh` the same with its features handed on, `reuse` a step that takes them.
    `kept_bytes` are held between steps. `steps` of a generation, at `calls` calls a step; None for a bare program.
    """

    sizes: tuple[tuple[str, int], ...]
    before: PartCost
    refresh: PartCost
    reuse: PartCost
    kept_bytes: int
    steps: int | None
    calls: int
    refreshes: int

    @property
    def flops_before(self) -> int | None:
        """FLOP of the stage in a whole generation, exact; None for a bare program, and where nothing is known."""
        if self.steps is None or self.before.flops is None:
            return None
        return self.calls * self.steps * self.before.flops

    @property
    def flops_after(self) -> int | None:
        """FLOP of both programs in a whole generation; None for a bare program, and where nothing of one is known."""
        if self.steps is None or self.refresh.flops is None or self.reuse.flops is None:
            return None
        rest = self.steps - self.refreshes
        return self.calls * (self.refreshes * self.refresh.flops + rest * self.reuse.flops)


@dataclass(frozen=True, slots=True)
class Drift:
    """How far results are off that were made with features `age` steps old: measured, in float64.

    `differences` are root mean squares of approximate - exact over that of exact, one for each place of the loop in
    `places` (step indices of `steps`). `weights` says whose weights ("the program's own", "drawn").
    """

    age: int
    steps: int
    places: tuple[int, ...]
    differences: tuple[float, ...]
    weights: str


@dataclass(frozen=True, slots=True)
class ReuseResult:
    """A stage as two programs over the same weights: `refresh` in every `every`-th step, `reuse` in the others.

    `refresh` takes the inputs of `program`, the stage whole, and returns its `results` tensors, then the values `kept`;
    `reuse` takes the inputs it still reads and the values `kept`, by name, and returns the results. Both return flat
    tuples. Inputs `stepping` are others in every step, `schedule` follows the timestep, the rest stays. Where nothing
    can be reused both programs are None and `reason` says why.

    `verification` compares both with `program` on features of the same step, where they must be equal. `drift` is how
    far they are off on features of an earlier one, which no bound judges.
    """

    name: str
    program: Program
    every: int
    refresh: Program | None = None
    reuse: Program | None = None
    results: int = 0
    kept: tuple[BoundaryValue, ...] = ()
    stepping: tuple[str, ...] = ()
    schedule: tuple[str, ...] = ()
    report: ReuseReport | None = None
    changes: tuple[Change, ...] = ()
    skips: tuple[Skip, ...] = ()
    reason: str = ""
    verification: Verification | None = None
    drift: Drift | None = None

    @property
    def modified(self) -> bool:
        """Whether anything is reused."""
        return self.refresh is not None and self.reuse is not None

    @property
    def programs(self) -> tuple[tuple[str, Program], ...]:
        """(part, program) of the parts there are."""
        parts = (("refresh", self.refresh), ("reuse", self.reuse))
        return tuple((part, program) for part, program in parts if program is not None)

    def refreshes(self, step: int) -> bool:
        """Whether `step` (0-based) computes everything."""
        return step % self.every == 0
