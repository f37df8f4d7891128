"""What hoisting says about itself: three programs, what crosses between them, and the account of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphlab.program import Program
from graphlab.rewriting.change import Change, Skip

if TYPE_CHECKING:
    from graphlab.verification.result import Verification


@dataclass(frozen=True, slots=True)
class BoundaryValue:
    """A value one part makes and another takes.

    `name` is its node in the original program, and so its input name; `producer` is "prologue" or "table", `consumers`
    are "table" and "step". `shape` is over the symbols of the original graph, without the axis of timesteps;
    `nbytes` are those of one timestep at the sizes of the report. `module` made it.
    """

    name: str
    producer: str
    consumers: tuple[str, ...]
    shape: tuple[Any, ...]
    dtype: str
    nbytes: int
    module: str = ""
    op: str = ""


@dataclass(frozen=True, slots=True)
class PartCost:
    """One call of a part: FLOP of contractions and of the rest, bytes and count of the weights it reads, nodes.

    FLOP are None where no call has a rule.
    """

    flops: int | None
    pointwise_flops: int | None
    weight_bytes: int
    parameters: int
    nodes: int
    unknown: int = 0
    """Calls of operators without a rule, whose FLOP are not in the sums."""


@dataclass(frozen=True, slots=True)
class HoistedModule:
    """What left the step of one module: calls, their FLOP, and parameters no step reads any more.

    FLOP are without those of the `unknown` calls, which have no rule; None where none of them has one.
    """

    module: str
    part: str
    nodes: int
    flops: int | None
    parameters: int
    unknown: int = 0


@dataclass(frozen=True, slots=True)
class HoistReport:
    """Costs before and after, at `sizes` ({symbol of the original graph: size}).

    `before` is one call of the original, `step` one call of what is left in the loop. Weights in the loop before are
    `before.weight_bytes`, after `step.weight_bytes`; `parameters_left` are read by another
    part and no longer by the step. `shared_weight_bytes` are read by the
    step and by another part, and so stay. Bytes of the boundary are those the step takes from the prologue, of the
    table those of one row.
    """

    sizes: tuple[tuple[str, int], ...]
    before: PartCost
    prologue: PartCost | None
    table: PartCost | None
    step: PartCost
    modules: tuple[HoistedModule, ...]
    parameters_left: int
    shared_weight_bytes: int
    boundary_bytes: int
    row_bytes: int

    @property
    def parameters_share(self) -> float:
        """The share of the parameters that left the step, from 0 to 1."""
        return self.parameters_left / self.before.parameters if self.before.parameters else 0.0

    @property
    def resident_before_bytes(self) -> int:
        """Bytes of weights the loop keeps in memory without hoisting."""
        return self.before.weight_bytes

    @property
    def resident_after_bytes(self) -> int:
        """Bytes of weights the loop keeps in memory once prologue and table are done."""
        return self.step.weight_bytes


@dataclass(frozen=True, slots=True)
class HoistResult:
    """A program split over the loop.

    Where nothing is hoisted `step` is the program itself, `prologue` and `table` are None, and `reason` says why.
    Every part takes its inputs by name: those of the original program under their own names, values of another part
    under the name of the boundary value. `shape_only` lists (part, input) pairs where only the size is read: any
    tensor of that shape does. `outputs` of prologue and table are boundary values in order. `verification` is the
    outcome of comparing the parts with the program before, where that was asked for.
    """

    name: str
    step: Program
    prologue: Program | None = None
    table: Program | None = None
    prologue_outputs: tuple[str, ...] = ()
    table_outputs: tuple[str, ...] = ()
    shape_only: tuple[tuple[str, str], ...] = ()
    invariant: tuple[str, ...] = ()
    schedule: tuple[str, ...] = ()
    boundary: tuple[BoundaryValue, ...] = ()
    report: HoistReport | None = None
    changes: tuple[Change, ...] = ()
    skips: tuple[Skip, ...] = ()
    reason: str = ""
    verification: Verification | None = None

    @property
    def modified(self) -> bool:
        """Whether anything left the step."""
        return self.prologue is not None or self.table is not None

    @property
    def programs(self) -> tuple[tuple[str, Program], ...]:
        """(part, program) of the parts there are, in the order they run."""
        parts = (("prologue", self.prologue), ("table", self.table), ("step", self.step))
        return tuple((part, program) for part, program in parts if program is not None)
