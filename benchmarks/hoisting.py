"""What leaves the loop of every model: the table of docs/hoisting.md.

    python -m benchmarks.hoisting [MODEL ...]

Stages are captured statically on the meta device at their default bindings, batch 1: nothing runs, no weights are
read. Bytes of the table are those of the default number of steps.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from graphlab.hoisting.hoist import hoist_stage, loop_refusal
from graphlab.hoisting.result import HoistReport
from graphlab.models import find_model, models
from graphlab.models.erase_bases import BASES
from graphlab.sources.stage import program_for

HEADER = (
    "| model | stage | parameters | left the step | in the table | TFLOP per step | after | loop weights, GB | after "
    "| prologue values, MB | table, MB |"
)


@dataclass(frozen=True, slots=True)
class Row:
    """One stage hoisted: its report, the steps of a generation, seconds the pass took."""

    model: str
    stage: str
    report: HoistReport
    steps: int
    seconds: float

    def line(self) -> str:
        """The row of the table."""
        report = self.report
        table = sum(module.parameters for module in report.modules if module.part == "table")
        return (
            f"| {self.model} | {self.stage} | {report.before.parameters / 1e6:,.0f} M "
            f"| {report.parameters_share:.1%} | {table / report.before.parameters:.1%} "
            f"| {report.before.flops / 1e12:.3f} | {report.step.flops / 1e12:.3f} "
            f"| {report.resident_before_bytes / 1e9:.2f} | {report.resident_after_bytes / 1e9:.2f} "
            f"| {report.boundary_bytes / 1e6:.2f} | {report.row_bytes * self.steps / 1e6:.2f} |"
        )


def rows(name: str) -> Iterator[Row]:
    """The hoisted stages of the built-in model `name`."""
    workload = find_model(name).workload()
    for stage in workload.active:
        if loop_refusal(workload, stage):
            continue
        program = program_for(stage, workload.step_values(stage, 0), dynamic=False, disk=False)
        start = time.perf_counter()
        result = hoist_stage(workload, stage.name, program)
        if result.report is not None:
            yield Row(name, stage.name, result.report, workload.steps(stage), time.perf_counter() - start)


def main(names: list[str]) -> None:
    """Prints the table; the time of the pass goes to the error stream."""
    print(HEADER)
    print("|---|---|" + "---:|" * 9)
    for name in names or [n for n, model in models().items() if not (n.endswith("-tiny") or n in BASES)]:
        for row in rows(name):
            print(row.line(), flush=True)
            print(f"{row.model} {row.stage}: {row.seconds:.1f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
