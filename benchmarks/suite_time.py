"""The whole suite on one device, cold and warm: `python -m benchmarks.suite_time [--jobs 2] [--keep FOLDER]`.

Two runs of the installed command, the first in an empty cache, the second in the one it filled: wall time, and the
largest resident set of any of its processes (bars: 15 minutes, 15 seconds, 2 GiB over all processes).
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMAND = Path(sys.executable).with_name("graphlab")


def timed(cache: Path, jobs: int) -> tuple[float, float]:
    """(seconds, GiB of the largest process so far) of one run with the cache in `cache`."""
    page = cache / "page.html"
    started = time.perf_counter()
    subprocess.run(
        [str(COMMAND), "characterize", "--device", "a100-80gb", "--jobs", str(jobs), "--html", str(page)],
        env={**os.environ, "GRAPHLAB_CACHE": str(cache)},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    return time.perf_counter() - started, largest


def main() -> None:
    """Prints a line a run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="an empty folder for the cache, kept afterwards")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cache = options.keep or Path(folder)
        for name in ("cold", "warm"):
            seconds, largest = timed(cache, options.jobs)
            print(
                f"{name}: {seconds:.1f} s, largest process {largest:.2f} GiB, {options.jobs} worker processes at most"
            )


if __name__ == "__main__":
    main()
