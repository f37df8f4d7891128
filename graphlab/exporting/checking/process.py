"""Jobs in processes of their own, one after another: what they take of memory is gone before the next one starts."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphlab.exporting.errors import ExportError

_KEPT_OF_STDERR = 300


class ChildError(ExportError):
    """A job that went wrong: the message is what its process said."""


class ChildDied(ExportError):
    """A job whose process ended without a word: by a signal, or inside a library."""


@dataclass(frozen=True, slots=True)
class Jobs:
    """Runs jobs that leave their files in `folder`."""

    folder: Path

    def run(self, stage: str, **arguments: Any) -> Mapping[str, Any]:
        """What the job `stage` ("structure", "pytorch", "onnxruntime", ...; see `child`) answers to `arguments`.

        Arguments and answer are JSON values. ChildError for what its process raised, ChildDied where it ended
        otherwise; both name the stage.
        """
        number = sum(1 for _ in self.folder.glob("job-*.json"))
        job, answer = self.folder / f"job-{number}.json", self.folder / f"answer-{number}.json"
        job.write_text(json.dumps({"stage": stage, "arguments": arguments, "answer": str(answer)}))
        done = subprocess.run(
            [sys.executable, "-m", "graphlab.exporting.checking.child", str(job)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if done.returncode or not answer.exists():
            raise ChildDied(_death(stage, done.returncode, done.stdout.decode(errors="replace")))
        found: Mapping[str, Any] = json.loads(answer.read_text())
        if "error" in found:
            raise ChildError(f"{stage}: {found['error']}")
        return found


def _death(stage: str, code: int, said: str) -> str:
    if code < 0:
        name = signal.Signals(-code).name
        why = ", most likely for lack of memory" if -code == signal.SIGKILL else ""
        return f"{stage}: the process was ended by {name}{why}"
    last = " ".join(said.split())[-_KEPT_OF_STDERR:]
    return f"{stage}: the process ended with code {code} and no result: {last}"
