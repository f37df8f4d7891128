"""The two things a user names: saved reports as they are, sources as workloads."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from graphlab.api import Source, workload_of
from graphlab.diffing.errors import DiffError
from graphlab.diffing.reading import SCHEMAS, Saved, read_report, saved
from graphlab.program import Program
from graphlab.report.bench_data import BenchReport
from graphlab.report.characterization_data import CharacterizationReport
from graphlab.report.data import AnalysisReport
from graphlab.report.profile_data import ProfileReport
from graphlab.report.rewrite_data import RewriteReport
from graphlab.sources.stage import tensor_inputs
from graphlab.workload import Stage, Workload

Report = AnalysisReport | RewriteReport | ProfileReport | CharacterizationReport | BenchReport
Comparable = Source | Report
REPORTS = (AnalysisReport, RewriteReport, ProfileReport, CharacterizationReport, BenchReport)


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How sources are read: as `load` does."""

    config: str | os.PathLike[str] | None = None
    trust_pickle: bool = False
    inputs: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """A source on one side, with the sizes that were asked for by name (`asked`)."""

    label: str
    workload: Workload
    asked: Mapping[str, int | float]

    @property
    def bare(self) -> bool:
        """Whether it is a program alone, without a model's loop around it."""
        return len(self.workload.stages) == 1 and self.workload.stages[0].program is not None

    def bound(self, values: Mapping[str, int | float]) -> Workload:
        """The workload at `values`, where it has such variables, and then at what was asked for."""
        known = {variable.name for variable in self.workload.variables}
        return self.workload.bind({name: value for name, value in {**values, **self.asked}.items() if name in known})


def open_side(item: Comparable, label: str, options: SourceOptions, *, dynamic: bool) -> Saved | Opened:
    """The report that `item` is, or that the file it names holds; else the source it names, at its own sizes."""
    if isinstance(item, REPORTS):
        found = saved(item.to_dict(), label)
        return replace(found, label=found.workload)
    if isinstance(item, (str, os.PathLike)):
        label = os.fspath(item)
        path = Path(label)
        report = read_report(path, label) if path.is_file() else None
        if report is not None:
            return report
    workload = workload_of(item, {}, options.config, options.trust_pickle, options.inputs, dynamic)
    return Opened(workload.source if not isinstance(item, Program) else workload.name, workload, {})


def kind_of(a: Saved | Opened, b: Saved | Opened) -> str:
    """The command whose numbers are compared; DiffError for reports of two commands, or a source beside a timing."""
    kinds = [side.kind for side in (a, b) if isinstance(side, Saved)]
    if len(set(kinds)) > 1:
        raise DiffError(
            f"{a.label} is a report of `graphlab {kinds[0]}` and {b.label} one of `graphlab {kinds[1]}`: their numbers "
            "are not the same quantities",
            hint=f"compare two reports of one command: {', '.join(SCHEMAS.values())}",
        )
    if len(kinds) == 1 and kinds[0] in ("profile", "bench"):
        report, source = (a, b) if isinstance(a, Saved) else (b, a)
        raise DiffError(
            f"{report.label} was measured, and the source {source.label} has no times to compare with it",
            hint=f"measure it: `graphlab {kinds[0]} {source.label} --json FILE`, and compare the two files",
        )
    return kinds[0] if kinds else "analyze"


def axis_bindings(stage: Stage, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """{variable: size} that give the inputs of `stage`, a bare program's, the `shapes` that inputs of theirs have.

    Inputs of other names or ranks, and sizes that are not a variable of their own, are left alone.
    """
    found: dict[str, int] = {}
    for name, spec in tensor_inputs(stage).items():
        sizes = shapes.get(name, ())
        if len(sizes) == len(spec.shape):
            pairs = zip(spec.shape, sizes, strict=True)
            found |= {text: size for text, size in pairs if isinstance(text, str) and text not in found}
    return found
