"""`bench`: which backend runs a source fastest on this machine, checked first and timed in turn."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from graphlab.api import Source, workload_of
from graphlab.measuring.machine import find_dtype
from graphlab.profiling import _is_own, check_effort
from graphlab.program import Program
from graphlab.report.bench_data import BenchReport, Environment, StageBench
from graphlab.timing.candidates import candidates, level
from graphlab.timing.contest import Limits
from graphlab.timing.heats import QUIET
from graphlab.timing.onnx_model import SUFFIX
from graphlab.timing.prepare import Wanted
from graphlab.timing.rounds import WARMUP_RULE
from graphlab.timing.stage import StageRun
from graphlab.timing.stamp import environment, usable_cores
from graphlab.timing.statistics import LEAST_ROUNDS
from graphlab.timing.surroundings import surroundings
from graphlab.timing.totals import totals

ROUNDS = 20
BUSY = 0.5
"""Load for each core above which the report warns."""


def bench(
    source: Source,
    backends: Sequence[str],
    *,
    rewrite: int | str = 0,
    stage: str | None = None,
    weights: str | None = None,
    dtype: str | None = None,
    threads: int | None = None,
    rounds: int = ROUNDS,
    budget: float | None = None,
    whole: bool = False,
    dynamic: bool = False,
    seed: int = 0,
    memory_bytes: int | None = None,
    progress: Callable[[str], None] | None = None,
    config: str | os.PathLike[str] | None = None,
    trust_pickle: bool = False,
    inputs: Mapping[str, str] | None = None,
    **bindings: int | float,
) -> BenchReport:
    """Seconds of each of `backends` on every stage of `source`, on this machine, and their ratios with intervals.

    A backend is spelled "NAME[,rewrite=LEVEL][,KEY=VALUE]...". Each is compiled in a process of its own and compared
    with eager float32 of the unrewritten program; only those that agree are timed, one at a time, in rounds of random
    order. Ratios are to the first that was timed. `rewrite` (0 to 2) holds for backends without their own. `weights`
    is "random:SEED" or a path; by default the source's own, or random:0. `budget` bounds the seconds of compiling,
    checking and timing, over all stages; without it there are `rounds` rounds. `whole` times all calls a generation
    makes. `dynamic` captures with symbolic sizes. `memory_bytes` bounds what all processes may take together, beyond
    which they take turns. `threads` are those of one call, all cores by default; `dtype` casts stages built from a
    configuration. The other options are those of `analyze`. GraphlabError for a name there is none of, a stage that
    cannot be captured or weights that do not fit; what goes wrong with one backend is in the report.
    """
    check_effort(rounds, budget, threads)
    count = threads if threads is not None else usable_cores()
    chosen = candidates(backends, rewrite=level(rewrite), threads=count)
    asked = find_dtype(dtype)
    free = dynamic or str(source).endswith(SUFFIX)  # a file says its free sizes, which cost nothing
    workload = workload_of(source, bindings, config, trust_pickle, inputs, free)
    stages = workload.active if stage is None else (workload.running(stage),)
    trusted = trust_pickle or isinstance(source, Program) or _is_own(workload)
    wanted = Wanted(dynamic, weights, trusted, trust_pickle)
    stamp = environment(count)
    left = budget
    found: list[StageBench] = []
    with _folder("graphlab-bench-") as place:
        for index, item in enumerate(stages):
            share = None if left is None else left / (len(stages) - index)
            limits = Limits(rounds, share, seed, memory_bytes, LEAST_ROUNDS)
            with _folder("stage-", place) as folder:  # a disk holds the files of one at a time
                run = StageRun(workload, item, chosen, folder, wanted, asked, whole, count)
                found.append(run.run(limits, surroundings(folder, count), _say(progress, item.name)))
            left = None if left is None else max(left - run.spent, 0.0)
    return BenchReport(
        source=workload.source,
        workload=workload.name,
        bindings=workload.values(),
        whole=whole,
        rounds=rounds,
        budget_seconds=budget,
        seed=seed,
        environment=stamp,
        stages=tuple(found),
        totals=totals(found) if whole else (),
        assumptions=workload.assumptions,
        notes=(WARMUP_RULE, QUIET, *_busy(stamp)),
    )


@contextmanager
def _folder(prefix: str, place: Path | None = None) -> Iterator[Path]:
    """A new folder in `place` while the block lasts; what cannot be deleted costs no results."""
    with tempfile.TemporaryDirectory(prefix=prefix, dir=place, ignore_cleanup_errors=True) as made:
        yield Path(made)


def _busy(stamp: Environment) -> tuple[str, ...]:
    """That others were using the machine: threads that wait for each other suffer far more than their share."""
    load = stamp.load_average
    if load is None or load < BUSY * stamp.cores:
        return ()
    return (f"the machine was busy before (load {load:.2f} on {stamp.cores} cores): times are not to be relied on",)


def _say(progress: Callable[[str], None] | None, stage: str) -> Callable[[str], None]:
    return lambda text: progress(f"{stage}: {text}") if progress is not None else None
