"""The stages of a workload rewritten: the account of every one, and the files they are saved in, all or none."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from graphlab.api import one_stage
from graphlab.errors import GraphlabError
from graphlab.hoisting.result import HoistResult
from graphlab.hoisting.saving import save
from graphlab.program import Program
from graphlab.report.rewrite_data import RewriteReport, StageRewrite
from graphlab.reuse.saving import save as save_reused
from graphlab.rewriter import Chosen, Verify, rewrite_stage, rewrites
from graphlab.rewriting.account import stage_account
from graphlab.rewriting.result import RewriteResult
from graphlab.rewriting.saving import Writer, program_writer, save_all
from graphlab.sources.stage import axis_sizes
from graphlab.workload import Workload


class RewriteFileError(GraphlabError):
    """A place where rewritten programs cannot be written."""


@dataclass(frozen=True, slots=True)
class RewritePlan:
    """What to rewrite and how, and where to: `output` is a .pt2 file, or a folder with a file or a folder a stage.

    Files load without graphlab unless `keep_fused`, which leaves its own operators in them. With `diff` the account
    holds the regions that changed.
    """

    workload: Workload
    chosen: Chosen
    output: str | None = None
    verify: Verify = False
    dynamic: bool = True
    trusted: bool = False
    keep_fused: bool = False
    diff: bool = False

    def stages(self, stage: str | None) -> list[str]:
        """Names of the stages to rewrite: one for a file, all of them for a folder or a report alone."""
        if stage is None and (self.output is None or is_folder(self.output)):
            return [item.name for item in self.workload.active]
        return [one_stage(self.workload, stage)]


def is_folder(output: str) -> bool:
    """Whether `output` is a folder: it is one, ends like one, or has no suffix."""
    return output.endswith(("/", os.sep)) or Path(output).is_dir() or not Path(output).suffix


def check_split(output: str | None, chosen: Chosen) -> None:
    """RewriteFileError where a stage that `chosen` splits, several programs, does not go into a new folder."""
    if output is None or chosen.splits is None:
        return
    if not is_folder(output):
        raise RewriteFileError(
            f"{output} is one file, and a stage that is split is several programs",
            hint="name a folder: end it with /",
        )
    folder = Path(output)
    if folder.is_dir() and any(folder.iterdir()):
        raise RewriteFileError(
            f"cannot write into {folder}: it is not empty; a stage that is split goes into a new folder"
        )


def rewrite_workload(plan: RewritePlan, names: Sequence[str], progress: Callable[[str], None]) -> RewriteReport:
    """The stages `names` rewritten and saved. Files appear together, once every stage has been rewritten.

    `progress` is called with every stage. Errors as of `graphlab.rewrite`, RewriteFileError for two stages of one
    place and for a folder that cannot be made.
    """
    run = _Run(plan, alone=len(names) == 1)
    for name in names:
        progress(name)
        run.stage(name)
    run.save()
    workload, chosen = plan.workload, plan.chosen
    return RewriteReport(
        source=workload.source,
        workload=workload.name,
        bindings=workload.values(),
        level=chosen.level,
        passes=chosen.names,
        stages=tuple(run.rows),
        assumptions=workload.assumptions,
        approximate=chosen.approximate,
    )


@dataclass
class _Run:
    plan: RewritePlan
    alone: bool
    rows: list[StageRewrite] = field(default_factory=list)
    writers: dict[Path, Writer] = field(default_factory=dict)

    def stage(self, name: str) -> None:
        """Rewrites one stage; its row, and what will write it."""
        plan = self.plan
        last = () if plan.output is None or plan.keep_fused else ("decompose-fused",)
        before, result = rewrite_stage(
            plan.workload, name, plan.chosen, plan.verify, dynamic=plan.dynamic, last=rewrites(last),
            trusted=plan.trusted,
        )  # fmt: skip
        place = self._place(name, result)
        if place in self.writers:
            raise RewriteFileError(f"two stages would both be {place}: pick one with --stage")
        if place is not None:
            self.writers[place] = _writer(result)
        self.rows.append(self._row(name, before, result, place))

    def _place(self, name: str, result: RewriteResult) -> Path | None:
        """Where the program goes: the file, or STAGE.pt2 in the folder; a stage that was split is a folder itself."""
        output = self.plan.output
        if output is None:
            return None
        if not is_folder(output):
            return Path(output)
        safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in name)
        if result.parts is not None:
            return Path(output) if self.alone else Path(output) / safe
        return Path(output) / f"{safe}.pt2"

    def _row(self, name: str, before: Program, result: RewriteResult, place: Path | None) -> StageRewrite:
        plan, chosen = self.plan, self.plan.chosen
        stage = plan.workload.running(name)
        sizes = axis_sizes(stage, plan.workload.step_values(stage, 0))
        asked = (*chosen.rewrites, *((chosen.splits,) if chosen.splits is not None else ()))
        inexact = [item.name for item in asked if not item.exact]
        return stage_account(
            name, before, result, sizes, diff=plan.diff, output=place, notes=before.notes, inexact=inexact
        )

    def save(self) -> None:
        """Writes everything or nothing; a folder is made where it is not there."""
        output = self.plan.output
        if output is None:
            return
        folder = Path(output)
        made = is_folder(output) and not folder.exists()
        try:
            if made:
                folder.mkdir()
            save_all(self.writers)
        except OSError as error:
            raise RewriteFileError(f"cannot make the folder {folder}: {error.strerror or error}") from error
        finally:
            if made and folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()


def _writer(result: RewriteResult) -> Writer:
    if isinstance(result.parts, HoistResult):
        return partial(save, result.parts)
    if result.parts is not None:
        return partial(save_reused, result.parts)
    return program_writer(result.program)
