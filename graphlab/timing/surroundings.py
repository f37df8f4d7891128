"""The environment variables of a candidate's process: threads, and caches of compilers that are empty at first."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

INDUCTOR_CACHE = "TORCHINDUCTOR_CACHE_DIR"


def surroundings(folder: Path, threads: int) -> Callable[[str], Mapping[str, str]]:
    """{variable: value} for the process of a candidate, by its label.

    Threads that wait for work are left to do so as their runtime does by default, which is for a few milliseconds:
    asking them to sleep at once would make every call slower than it is in use. A cache of Inductor's that the user
    named is kept; otherwise every candidate has an empty one in `folder`, so that its compile time is that of a first
    time. Temporary files go there too: a process that is ended leaves its own, and they are to go with the folder.
    """

    def of(label: str) -> Mapping[str, str]:
        found = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), "TRANSFORMERS_VERBOSITY": "error"}
        found["TMPDIR"] = str(folder)
        if INDUCTOR_CACHE not in os.environ:
            found[INDUCTOR_CACHE] = str(folder / f"inductor-{re.sub(r'[^A-Za-z0-9]+', '-', label)}")
        return found

    return of
