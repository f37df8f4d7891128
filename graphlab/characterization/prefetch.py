"""Captures of several models at once: worker processes fill the disk cache that the caller then reads.

A process a model, started anew, so that memory goes back and nothing a worker does can hang the caller: the pools of
the standard library lose tasks when a worker dies.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict

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
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        waiting = {pool.submit(_start, workload, options, sweeps): workload.name for workload in named}
        for done in as_completed(waiting):
            done.result()
            if progress is not None:
                progress(waiting[done])


def _start(workload: Workload, options: BuildOptions, sweeps: bool) -> None:
    asked = {"name": workload.source, "values": workload.values(), "options": asdict(options), "sweeps": sweeps}
    command = [sys.executable, "-m", "graphlab.characterization.prefetch"]
    subprocess.run(command, input=json.dumps(asked), text=True, capture_output=True, check=False)


def work(text: str) -> None:
    """What a worker does: the model that `text`, as `prefetch` writes it, names."""
    asked = json.loads(text)
    run = model_run(find_model(asked["name"]).workload().bind(asked["values"]), BuildOptions(**asked["options"]))
    if asked["sweeps"]:
        sweep_images(run)
        sweep_frames(run, sides(run, SIDE_FACTORS))


if __name__ == "__main__":
    work(sys.stdin.read())
