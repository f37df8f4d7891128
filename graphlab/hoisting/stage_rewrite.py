"""What a rewrite of a whole stage is: one that gives it another shape in its workload, not only another program."""

from __future__ import annotations

from abc import abstractmethod

from graphlab.hoisting.result import HoistResult
from graphlab.passes_base import Pass
from graphlab.program import Program
from graphlab.workload import Workload


class StageRewrite(Pass):
    """Base of every pass that splits a stage into several; a frozen dataclass whose fields are its options.

    Such a pass changes the signature, so no level below -O3 has it and no other rewrite runs in its pipeline. The
    program given stays as it is and weights are shared.
    """

    @abstractmethod
    def run(self, program: Program) -> HoistResult:
        """`program`, about whose inputs the options say everything, split."""

    @abstractmethod
    def run_stage(
        self, workload: Workload, stage: str, program: Program | None = None, *, dynamic: bool = True
    ) -> HoistResult:
        """`stage` of `workload` split; `program` is a capture of it that is there already."""
