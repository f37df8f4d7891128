"""Measures the rows on this machine's GPU: `python -m benchmarks.gpu_measured --hardware h100-sxm --json OUT.json`.

Every row has a process of its own. All get ready at once (capturing, compiling); then they measure one after another,
while the others wait. What is not ready after --prepare seconds, or not done when --budget seconds are over, is named
with the reason. A file that is there gets a further run. `python -m benchmarks.gpu_measured.table OUT.json` puts the
predictions beside it.
"""

from __future__ import annotations

import argparse
import json
import platform
import queue
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu_measured.child import MARK
from benchmarks.gpu_measured.rows import ROWS, TINY


class Child:
    """The process of one row; its lines are read by a thread, so that waiting can end."""

    def __init__(self, name: str, device: str) -> None:
        command = [sys.executable, "-m", "benchmarks.gpu_measured.child", name, device]
        self.name = name
        self.lines: queue.Queue[str | None] = queue.Queue()
        self.said: list[str] = []
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.readers = [threading.Thread(target=read, daemon=True) for read in (self._read, self._complaints)]
        for reader in self.readers:
            reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(MARK):
                self.lines.put(line.removeprefix(MARK))
        self.lines.put(None)

    def _complaints(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            del self.said[:-20]

    def line(self, seconds: float) -> str:
        """Its next line; RuntimeError when it ended, or says nothing for so long."""
        if seconds <= 0:
            raise RuntimeError("no time was left")
        try:
            found = self.lines.get(timeout=seconds)
        except queue.Empty:
            raise RuntimeError(f"nothing after {seconds:.0f} s") from None
        if found is None:
            self.process.wait()
            raise RuntimeError(
                " ".join("".join(self.said[-8:]).split())[-400:] or f"ended with {self.process.returncode}"
            )
        return found

    def measured(self, seconds: float) -> Any:
        """What it measured on its turn; RuntimeError or OSError where it did not."""
        if seconds <= 0:
            raise RuntimeError("no time was left")
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return json.loads(self.line(seconds))

    def end(self) -> None:
        """Stops it, and closes its pipes."""
        self.process.kill()
        self.process.wait()
        for reader in self.readers:
            reader.join()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe is not None
            with suppress(OSError):  # a line it never read
                pipe.close()


def run(names: list[str], device: str, prepare: float, budget: float) -> dict[str, Any]:
    """One run: {"gpu", "cpu", "torch", "rows", "failed": {row: reason}}; every one of `names` is in one of the two."""
    began = time.perf_counter()
    result: dict[str, Any] = {"gpu": torch.cuda.get_device_name() if device == "cuda" else None}
    result |= {"cpu": platform.processor() or platform.machine(), "torch": torch.__version__, "rows": [], "failed": {}}
    children = [Child(name, device) for name in names]
    waiting: list[Child] = []
    try:
        for child in children:
            try:
                child.line(prepare - (time.perf_counter() - began))
                waiting.append(child)
            except RuntimeError as error:
                result["failed"][child.name] = f"not ready: {error}"
                child.end()
        print(f"{len(waiting)} ready after {time.perf_counter() - began:.0f} s", flush=True)
        for child in waiting:
            start = time.perf_counter()
            try:
                result["rows"].append(child.measured(budget - (start - began)))
            except (RuntimeError, OSError) as error:
                result["failed"][child.name] = str(error)
            child.end()
            print(f"{child.name}: {result['failed'].get(child.name, 'measured')}", flush=True)
    finally:
        for child in children:
            child.end()
    return result


def main() -> None:
    """Measures, and adds a run to the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hardware", required=True, help="the graphlab device this GPU is")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--rows", nargs="*", choices=[row.name for row in (*ROWS, *TINY)])
    parser.add_argument("--prepare", type=float, default=200.0, help="seconds for getting ready")
    parser.add_argument("--budget", type=float, default=500.0, help="seconds in all")
    given = parser.parse_args()
    found: dict[str, Any] = {"hardware": given.hardware, "runs": []}
    if given.json.exists():
        found = json.loads(given.json.read_text())
        if found["hardware"] != given.hardware:
            parser.error(f"{given.json} is of {found['hardware']}")
    names = given.rows or [row.name for row in ROWS]
    found["runs"].append(run(names, given.device, given.prepare, given.budget))
    given.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
