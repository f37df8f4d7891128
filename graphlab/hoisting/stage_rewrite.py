"""What a rewrite of a whole stage is: one that gives it another shape in its workload, not only another program."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from graphlab.hoisting.result import HoistResult
from graphlab.passes_base import Pass
from graphlab.program import Program
from graphlab.workload import Workload

if TYPE_CHECKING:
    from graphlab.reuse.result import ReuseResult

StageResult: TypeAlias = "HoistResult | ReuseResult"
"""A stage as several programs: split over its loop, or reusing features of earlier steps."""


class StageRewrite(Pass):
    """Base of every pass that splits a stage into several; a frozen dataclass whose fields are its options.

    Such a pass changes the signature, so no level below -O3 has it and no other rewrite runs in its pipeline. The
    program given stays as it is and weights are shared.

    `exact` says that the parts together compute what the stage did, which verification holds them to. A pass that
    approximates sets it to False and returns a ReuseResult: no level has it, reports call it approximate, and
    verification measures how far its results are off in place of passing them.
    """

    exact: ClassVar[bool] = True

    @abstractmethod
    def run(self, program: Program) -> StageResult:
        """`program`, about whose inputs the options say everything, split."""

    @abstractmethod
    def run_stage(
        self, workload: Workload, stage: str, program: Program | None = None, *, dynamic: bool = True
    ) -> StageResult:
        """`stage` of `workload` split; `program` is a capture of it that is there already."""
