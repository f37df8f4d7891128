"""Child processes under a memory limit, and what they took: seconds, peak of resident memory, or why they ended."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

GIB = 1 << 30
LIMIT_GIB = 20.0
POLL_SECONDS = 0.05
ANSWER = "answer "
_NAMED = re.compile(r"[\w.]+(Error|Exception|NotImplemented|Fail|InvalidGraph)\b.*: ")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a child: its `answer`, or `error`; seconds it lived, and the most bytes it held (VmHWM)."""

    seconds: float
    peak_bytes: int
    answer: dict[str, Any] = field(default_factory=dict)
    error: str | None = None


def run_child(
    module: str, arguments: Sequence[str], limit_gib: float = LIMIT_GIB, seconds: float | None = None
) -> Outcome:
    """`python -m module arguments` in a child that is ended above `limit_gib` of memory of its own, or after `seconds`.

    Memory of its own is what is anonymous (RssAnon), which unlike a mapped file cannot be dropped; it is read every
    POLL_SECONDS. A limit on address space would count reserved memory that is never used. The kernel, too, takes this
    child first. A child prints its answer with `answer`.
    """
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        start = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments], stdout=out, stderr=errors, start_new_session=True
        )
        _volunteer(process.pid)
        peak, reason = _watch(process, int(limit_gib * GIB), None if seconds is None else start + seconds)
        spent = time.monotonic() - start
        out.seek(0)
        errors.seek(0)
        said = next((line for line in reversed(out.read().splitlines()) if line.startswith(ANSWER)), None)
        if reason is None and process.returncode:
            reason = _death(process.returncode, errors.read())
        if reason is None and said is None:
            reason = "it gave no answer"
        found = json.loads(said.removeprefix(ANSWER)) if said is not None and reason is None else {}
        return Outcome(spent, max(peak, int(found.pop("peak_bytes", 0))), found, reason)


def answer(**values: Any) -> None:
    """Prints what the parent is to know, with this process's peak memory."""
    print(ANSWER + json.dumps({**values, "peak_bytes": status_bytes("VmHWM")}), flush=True)


def status_bytes(name: str, pid: int | str = "self") -> int:
    """A field of /proc/PID/status in bytes; 0 for a process that is gone."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return 0


def _volunteer(pid: int) -> None:
    with suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text("1000")


def _watch(process: subprocess.Popen[bytes], limit: int, until: float | None) -> tuple[int, str | None]:
    """(the most bytes it was seen to hold, why it was ended), when it has."""
    peak, own = 0, 0
    while process.poll() is None:
        peak = max(peak, status_bytes("VmHWM", process.pid))
        own = sum(status_bytes("RssAnon", pid) for pid in _family(process.pid))
        reason = None
        if own > limit:
            reason = f"killed for memory: {own / GIB:.1f} GiB, above the limit of {limit / GIB:g} GiB"
        elif until is not None and time.monotonic() > until:
            reason = "it was not done in the time there was"
        if reason is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return peak, reason
        time.sleep(POLL_SECONDS)
    return peak, None


def _family(pid: int) -> Iterator[int]:
    """`pid` and what it started, directly or not."""
    yield pid
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                yield from _family(int(child))


def reason_of(errors: str) -> str:
    """The line of a traceback that says what was wrong: torch's exporter puts advice, and a cause, below it."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    marked = [line for line in lines if line.startswith("<class '")]
    named = [line for line in lines if _NAMED.match(line)]
    return (marked or named or lines or [""])[-1]


def _death(code: int, errors: str) -> str:
    if code == -signal.SIGKILL:
        return "killed for memory by the system"
    last = reason_of(errors)
    how = f"ended by {signal.Signals(-code).name}" if code < 0 else "failed"
    return f"{how}: {last[:300]}" if last else how
