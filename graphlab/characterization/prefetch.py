"""Captures of several models at once: worker processes fill the disk cache that the caller then reads."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

from graphlab.characterization.build import BuildOptions, model_run
from graphlab.characterization.sweeps import SIDE_FACTORS, sides, sweep_frames, sweep_images
from graphlab.models import find_model, model_names
from graphlab.workload import Workload


def prefetch(
    workloads: Sequence[Workload],
    options: BuildOptions,
    jobs: int,
    progress: Callable[[str], None] | None,
    *,
    sweeps: bool,
) -> None:
    """Works out the built-in ones of `workloads` in `jobs` processes; the results are on disk when it returns.

    Only a built-in model can be named to another process. What a worker fails at, the caller meets again by itself.
    """
    known = set(model_names())
    named = [workload for workload in workloads if workload.name == workload.source in known]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=jobs, mp_context=context, max_tasks_per_child=3) as pool:
        waiting = {pool.submit(_work, w.source, dict(w.values()), options, sweeps): w.name for w in named}
        for done in as_completed(waiting):
            if progress is not None and done.exception() is None:
                progress(waiting[done])


def _work(name: str, values: Mapping[str, int | float], options: BuildOptions, sweeps: bool) -> None:
    run = model_run(find_model(name).workload().bind(values), options)
    if sweeps:
        sweep_images(run)
        sweep_frames(run, sides(run, SIDE_FACTORS))
