"""A candidate's process seen from the other side: requests with a deadline, and a clean end."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from graphlab.timing.errors import WorkerError, WorkerTimeout
from graphlab.timing.job import Job

_PATIENCE = 5.0
"""Seconds a process has to end by itself when its input is closed."""


class Worker:
    """A process that does `job`. Use as a context manager: leaving ends it and what it started."""

    def __init__(self, job: Job, environment: Mapping[str, str] | None = None) -> None:
        self.job = job
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed in `stop`
        self._rest = b""
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "graphlab.timing.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env={**os.environ, **(environment or {})},
                start_new_session=True,  # what compilers start is ended with it
            )
        except OSError as error:  # no memory or no process left
            self._errors.close()
            raise WorkerError(f"its process cannot be started: {error.strerror or error}") from error

    def __enter__(self) -> Worker:
        """The worker itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Ends the process."""
        self.stop()

    def ask(self, request: str, *, until: float | None = None, **arguments: Any) -> dict[str, Any]:
        """The answer to `request`; WorkerTimeout after `until` (of time.monotonic), WorkerError for what went wrong.

        After a timeout the process is gone.
        """
        assert self._process.stdin is not None
        line = json.dumps({"do": request, **arguments}) + "\n"
        try:
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()
        except OSError as error:
            raise WorkerError(self._death()) from error
        answer: dict[str, Any] = json.loads(self._line(until))
        if "error" in answer:
            raise WorkerError(answer["error"], hint=answer.get("hint"))
        return answer

    def load(self, until: float | None = None) -> dict[str, Any]:
        """Hands the job over."""
        return self.ask("load", until=until, job=self.job.to_dict())

    def sample(self, calls: int, *, whole: bool = False, until: float | None = None) -> float:
        """Seconds of one call, the mean of `calls` in a row; of the job's whole sequence with `whole`."""
        return float(self.ask("sample", calls=calls, whole=whole, until=until)["seconds"])

    def stop(self) -> None:
        """Ends the process, and the group of those it started."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            with suppress(OSError):  # it is gone already
                self._process.stdin.close()
        try:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_PATIENCE)
        finally:  # a second interrupt, too
            self._kill()
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._errors.close()

    def _line(self, until: float | None) -> bytes:
        assert self._process.stdout is not None
        while b"\n" not in self._rest:
            left = None if until is None else max(until - time.monotonic(), 0.0)
            ready, _, _ = select.select([self._process.stdout], [], [], left)
            if not ready:
                self._kill()
                raise WorkerTimeout("it was not done in the time there was")
            chunk = os.read(self._process.stdout.fileno(), 1 << 16)
            if not chunk:
                raise WorkerError(self._death())
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def _death(self) -> str:
        """How the process ended, with the last line it wrote."""
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read()[-4000:].decode("utf-8", "replace").strip().splitlines()
        last = f": {lines[-1].strip()[:200]}" if lines else ""
        if code == -signal.SIGKILL:
            return "the system ended its process, most likely for want of memory"
        how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return f"its process ended {how}{last}"

    def _kill(self) -> None:
        """Its own process group and nothing else."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return
        self._process.wait()
