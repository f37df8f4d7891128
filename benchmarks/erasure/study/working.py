"""Works off the runs of a part, several at a time, until they are done or time is up."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path

import torch

from benchmarks.erasure.study.doing import Setting, do
from benchmarks.erasure.study.endpoint import score
from benchmarks.erasure.study.runs import PARTS, RATES, TUNED_ON, Part, Run, runs, tuned_as
from benchmarks.erasure.study.store import gather, is_done, rows_of, spread, write_rows
from graphlab.erase.errors import EraseError

Tell = Callable[[str], None]


def work_off(
    part: Part, folder: Path, setting: Setting, *, workers: int, budget: float, tell: Tell = lambda line: None
) -> int:
    """How many runs of a part are left after `budget` seconds; none is begun later than that.

    Each of `workers` processes uses one thread. What `<part>.csv` of the folder holds is done. Rows of a run appear
    when all of it is done. EraseError where a run fails, after those beside it.
    """
    began = time.monotonic()
    for other in PARTS:
        spread(folder, other)
    waiting = [run for run in runs(part) if not is_done(folder, run)]
    pending: dict[Future[float], Run] = {}
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(workers, context, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            while pending or waiting:
                _submit(pool, pending, waiting, folder, setting, workers, budget - (time.monotonic() - began))
                if not pending:
                    break
                done, _ = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    run = pending.pop(future)
                    tell(f"{run.key}: {future.result():.0f} s, {len(waiting) + len(pending)} left")
    finally:
        gather(folder, part)
    return sum(not is_done(folder, run) for run in runs(part))


def rate_of(run: Run, folder: Path) -> float | None:
    """The learning rate of a run: its own, or the best of its method's in tuning; None for one that takes none.

    EraseError where tuning is not done.
    """
    if run.rate is not None:
        return run.rate
    if run.method == "base" or (name := tuned_as(run.method)) is None:
        return None
    return best_rate("digits" if run.part == "attacks" else run.part, name, folder)


def best_rate(part: Part, method: str, folder: Path) -> float:
    """The rate of the grid that the tuning concept likes best; the lowest of those that are as good."""
    tuning = [run for run in runs(part) if run.stage == "tune" and run.method == method]
    scores = [(score(rows_of(folder, run)), run.rate) for run in tuning]
    if len(scores) != len(RATES):
        raise EraseError(f"{method} is not tuned on {TUNED_ON.get(part)}")
    _, rate = max(scores, key=lambda item: (item[0], -(item[1] or 0.0)))
    assert rate is not None
    return rate


def _submit(
    pool: ProcessPoolExecutor,
    pending: dict[Future[float], Run],
    waiting: list[Run],
    folder: Path,
    setting: Setting,
    workers: int,
    left: float,
) -> None:
    """Begins runs while there is a free worker, time, and a run whose tuning is done."""
    while waiting and len(pending) < workers and left > 0:
        if waiting[0].stage != "tune" and any(run.stage == "tune" for run in pending.values()):
            return
        run = waiting.pop(0)
        pending[pool.submit(_one, run, rate_of(run, folder), folder, setting)] = run


def _one(run: Run, rate: float | None, folder: Path, setting: Setting) -> float:
    """Does a run and writes its rows; seconds it took."""
    began = time.monotonic()
    write_rows(folder, run, do(run, rate, folder, setting))
    return time.monotonic() - began
