"""Small measuring tools: medians with their spread, processes timed from outside, peak memory."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

GRAPHLAB = str(Path(sys.executable).with_name("graphlab"))
"""The installed command."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Seconds of several runs."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Median seconds."""
        return statistics.median(self.seconds)

    def __str__(self) -> str:
        low, high = min(self.seconds), max(self.seconds)
        return f"{self.median:.3f} s (min {low:.3f}, max {high:.3f}, n={len(self.seconds)})"


def interleaved(rounds: int, **kinds: Callable[[], object]) -> dict[str, Sample]:
    """{name: Sample}: every kind once a round, in turn, so that a drifting machine drifts for all."""
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(rounds):
        for name, run in kinds.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: Sample(tuple(values)) for name, values in seconds.items()}


def process(*command: str, **environment: str) -> Callable[[], None]:
    """A callable that runs `command` in a new process and fails when it fails."""

    def run() -> None:
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, **environment})

    return run


def python(code: str, **environment: str) -> Callable[[], None]:
    """`process` for a line of Python."""
    return process(sys.executable, "-c", code, **environment)


def child_peak_bytes(code: str, **environment: str) -> int:
    """Peak resident bytes of a new Python process that runs `code` (Linux).

    VmHWM, not ru_maxrss: the latter survives exec, so a child would report at least its parent's peak.
    """
    report = "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    run = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    return int(run.stdout.splitlines()[-1]) * 1024


def header(title: str) -> None:
    """What every script prints first: the title, the machine's size and the versions that shape its numbers."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "diffusers", "transformers"))
    print(f"# {title}\n\n{os.cpu_count()} CPU cores, Python {sys.version.split()[0]}, {packages}\n")
