"""One stage of a workload benched: files made, the contest run, and what came of it as a StageBench."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from graphlab.measuring.casting import in_dtype
from graphlab.report.bench_data import CandidateBench, Ratio, StageBench
from graphlab.rewriting.options import addressed, spelled
from graphlab.timing.candidates import Candidate
from graphlab.timing.contest import Contest, Limits
from graphlab.timing.entrant import Entrant
from graphlab.timing.errors import BenchError
from graphlab.timing.job import Job, ProgramFiles, Sampling
from graphlab.timing.onnx_model import OnnxFiles, is_onnx
from graphlab.timing.prepare import StageFiles, Wanted, default_dtype
from graphlab.timing.schedule import Schedule, generation, one_call, sampling
from graphlab.timing.statistics import bootstrap, ratios, spread, verdict
from graphlab.workload import Stage, Workload

Environment = Callable[[str], Mapping[str, str]]


@dataclass
class StageRun:
    """A stage to be benched in `folder`; `dtype` is that of candidates which do not say their own."""

    workload: Workload
    stage: Stage
    candidates: Sequence[Candidate]
    folder: Path
    wanted: Wanted
    dtype: str | None
    whole: bool
    threads: int
    notes: list[str] = field(default_factory=list)
    spent: float = 0.0
    """Seconds of compiling, checking and timing: what a budget is of. Capturing and writing weights come before."""

    def run(self, limits: Limits, environment: Environment, say: Callable[[str], None]) -> StageBench:
        """The outcome; GraphlabError where the stage cannot be captured or cast, or does not fit the memory."""
        in_dtype(self.stage, self.dtype)
        schedule = (generation if self.whole else one_call)(self.workload, self.stage)
        kinds = self._kinds(schedule)
        first = kinds[0]
        reference = first.reference_dtype
        first.require_room()
        steps = sampling(self.workload, self.stage, schedule, first.facts.graph) if self.whole else None
        own = self.dtype or default_dtype(self.stage, self.candidates)
        entrants = [self._entrant(candidate, kinds, schedule, own, steps) for candidate in self.candidates]
        for entrant in entrants:
            entrant.environment = environment(entrant.candidate.label)
        backend = f"{first.reference_backend},threads={self.threads}"
        contest = Contest(
            entrants,
            lambda: Job(backend, tuple(kind.files(reference, 0) for kind in kinds), schedule.weights),
            reference,
            self.folder,
            limits,
            environment("reference"),
            say,
        )
        for kind in kinds:
            kind.files(reference, 0)
        start = time.monotonic()
        contest.run()
        self.spent = time.monotonic() - start
        self._remark(schedule, first, own, steps)
        return self._outcome(contest, first)

    def _kinds(self, schedule: Schedule) -> list[StageFiles] | list[OnnxFiles]:
        """The files of every call that is compiled."""
        if is_onnx(self.workload):
            if self.wanted.weights is not None:
                raise BenchError("an ONNX file is run with the weights it has", hint="leave --weights out")
            return [OnnxFiles(self.workload, self.stage, schedule.values[0], self.folder)]
        found: list[StageFiles] = []
        for index, values in enumerate(schedule.values):
            folder = self.folder / f"call-{index}"
            folder.mkdir()
            lender = found[0] if found else None
            found.append(StageFiles(self.workload, self.stage, values, folder, self.wanted, lender))
        return found

    def _entrant(
        self,
        candidate: Candidate,
        kinds: Sequence[StageFiles | OnnxFiles],
        schedule: Schedule,
        own: str,
        steps: Sampling | None,
    ) -> Entrant:
        backend, level = candidate.backend, candidate.rewrite
        dtype = backend.dtype or own

        def job() -> Job:
            files: tuple[ProgramFiles, ...] = tuple(kind.files(dtype, level, backend.leaves_out) for kind in kinds)
            return Job(addressed(backend), files, schedule.weights, schedule.sequence, steps)

        return Entrant(candidate, dtype, job)

    def _remark(self, schedule: Schedule, files: StageFiles | OnnxFiles, own: str, steps: Sampling | None) -> None:
        """What a reader has to know about the stage."""
        self.notes += files.weight_notes
        if own != self.stage.dtype and self.dtype is None:
            self.notes.append(
                f"the model is {self.stage.dtype}, on the CPU it is benched in {own}: --dtype for another"
            )
        if schedule.note:
            self.notes.append(schedule.note)
        if self.whole and steps is not None:
            self.notes.append("the work of a DDIM scheduler, and of guidance, is in the seconds of a generation")
        self.notes += files.program(files.reference_dtype).notes

    def _outcome(self, contest: Contest, files: StageFiles | OnnxFiles) -> StageBench:
        timed = [item for item in contest.entrants if item.times is not None]
        base = timed[0] if timed else None
        notes = [*self.notes, *contest.notes]
        if contest.turns:
            notes.append("the candidates do not fit into memory together: each is started, compiled and ended a round")
        if any(item.times is not None and item.times.estimate for item in timed):
            notes.append("seconds of a generation are estimates: those of a call times the calls it makes")
        return StageBench(
            name=self.stage.name,
            unit="generation" if self.whole else "call",
            steps=self.workload.steps(self.stage),
            calls=self.workload.calls(self.stage),
            weights=files.weights,
            reference=files.reference,
            base=base.candidate.label if base is not None else None,
            turns=contest.turns,
            rounds=contest.heats.rounds if contest.heats is not None else 0,
            candidates=tuple(outcome(item, base) for item in contest.entrants),
            notes=tuple(dict.fromkeys(notes)),
        )


def outcome(entrant: Entrant, base: Entrant | None) -> CandidateBench:
    """What the report says of a candidate; `base` is the one that ratios are to."""
    backend = entrant.candidate.backend
    computes = backend.computes if backend.computes != entrant.dtype else None
    return CandidateBench(
        label=entrant.candidate.label,
        backend=spelled(backend),
        rewrite=entrant.candidate.rewrite,
        dtype=entrant.dtype,
        computes=computes,
        status=entrant.status,
        error=entrant.error,
        check=entrant.check,
        compile_seconds=entrant.compile_seconds,
        memory=entrant.memory,
        times=entrant.times,
        ratio=_ratio(entrant, base),
        notes=entrant.notes,
    )


def _ratio(entrant: Entrant, base: Entrant | None) -> Ratio | None:
    if base is None or base is entrant or entrant.times is None or base.times is None:
        return None
    return ratio(base.times.samples, entrant.times.samples)


def ratio(base: Sequence[float], own: Sequence[float]) -> Ratio:
    """How many times as fast `own` is as `base`, by the rounds both have."""
    rounds = min(len(base), len(own))
    found = ratios(base[:rounds], own[:rounds])
    interval = bootstrap(found)
    return Ratio(spread(found)[0], interval, verdict(interval), rounds)
