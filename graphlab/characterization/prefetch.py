"""Captures of several models at once: worker processes fill the disk cache that the caller then reads.

A process a model, started anew, so that memory goes back and nothing a worker does can hang the caller: the pools of
the standard library lose tasks when a worker dies.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from graphlab.characterization.build import BuildOptions, model_run
from graphlab.characterization.sweeps import SIDE_FACTORS, sides, sweep_frames, sweep_images
from graphlab.generation.store import code_digest
from graphlab.models import built_in_names, find_model
from graphlab.sources import cache
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
    A model that was worked out before leaves a mark in the cache and is passed over; should the cache have lost some of
    it since, the caller makes that anew.
    """
    known = set(built_in_names())
    named = [workload for workload in workloads if workload.name == workload.source in known]
    asked = {workload.name: _asked(workload, options, sweeps) for workload in named}
    asked = {name: text for name, text in asked.items() if not _mark(text).exists()}
    running: set[subprocess.Popen[str]] = set()
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        waiting = {pool.submit(_start, text, running): name for name, text in asked.items()}
        try:
            for done in as_completed(waiting):
                done.result()
                if progress is not None:
                    progress(waiting[done])
        except BaseException:  # an interrupt: nobody waits for captures that nobody wants
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list(running):
                process.kill()
            raise


def _asked(workload: Workload, options: BuildOptions, sweeps: bool) -> str:
    asked = {"name": workload.source, "values": workload.values(), "options": asdict(options), "sweeps": sweeps}
    return json.dumps(asked, sort_keys=True)


def _mark(asked: str) -> Path:
    """The file that says that a worker was through with `asked`, by these versions of everything."""
    folder = cache.directory()
    text = chr(0).join([asked, cache.versions(), code_digest()])
    return (folder or Path(os.devnull)) / f"done-{hashlib.sha256(text.encode()).hexdigest()[:40]}"


def _start(asked: str, running: set[subprocess.Popen[str]]) -> None:
    command = [sys.executable, "-m", "graphlab.characterization.prefetch"]
    pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(command, stdin=pipe, stdout=nowhere, stderr=nowhere, text=True) as process:
        running.add(process)
        process.communicate(asked)
        running.discard(process)
    if process.returncode == 0:
        with suppress(OSError):
            _mark(asked).touch()


def work(text: str) -> None:
    """What a worker does: the model that `text`, as `prefetch` writes it, names."""
    asked = json.loads(text)
    run = model_run(find_model(asked["name"]).workload().bind(asked["values"]), BuildOptions(**asked["options"]))
    if asked["sweeps"]:
        sweep_images(run)
        sweep_frames(run, sides(run, SIDE_FACTORS))


if __name__ == "__main__":
    work(sys.stdin.read())
