"""Measures the rows on this machine's GPU: `python -m benchmarks.gpu_measured --hardware h100-sxm --json OUT.json`.

Every row has a process of its own. All get ready at once (capturing, compiling); then they measure one after another,
alone. What is not ready after --prepare seconds, or when --budget seconds are over, is named and not measured.
benchmarks.gpu_measured.table puts the predictions beside the file.
"""

from __future__ import annotations

import argparse
import json
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu_measured.rows import ROWS, TINY


class Child:
    """The process of one row; its lines are read by a thread, so that waiting can end."""

    def __init__(self, name: str, device: str, hardware: str) -> None:
        command = [sys.executable, "-m", "benchmarks.gpu_measured.child", name, device, hardware]
        self.name = name
        self.lines: queue.Queue[str | None] = queue.Queue()
        self.said: list[str] = []
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for reader in (self._read, self._complaints):
            threading.Thread(target=reader, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(("ready", "{")):
                self.lines.put(line)
        self.lines.put(None)

    def _complaints(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            del self.said[:-20]

    def line(self, seconds: float) -> str:
        """Its next line; RuntimeError when it ended or says nothing for so long."""
        try:
            found = self.lines.get(timeout=max(seconds, 0.01))
        except queue.Empty:
            raise RuntimeError(f"nothing after {seconds:.0f} s") from None
        if found is None:
            time.sleep(0.5)
            raise RuntimeError(" ".join("".join(self.said[-2:]).split())[:300] or "ended")
        return found

    def go(self) -> None:
        """Its turn."""
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()


def main() -> None:
    """Writes the JSON after every row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hardware", required=True, help="the graphlab device this GPU is")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--rows", nargs="*", choices=[row.name for row in (*ROWS, *TINY)])
    parser.add_argument("--prepare", type=float, default=200.0, help="seconds for getting ready")
    parser.add_argument("--budget", type=float, default=500.0, help="seconds in all")
    given = parser.parse_args()
    began = time.perf_counter()
    children = [Child(name, given.device, given.hardware) for name in given.rows or [row.name for row in ROWS]]
    result: dict[str, Any] = {"hardware": given.hardware, "torch": torch.__version__, "rows": [], "failed": {}}
    if given.device == "cuda":
        result["gpu"] = torch.cuda.get_device_name()
    waiting: list[Child] = []
    try:
        for child in children:
            try:
                child.line(given.prepare - (time.perf_counter() - began))
                waiting.append(child)
            except RuntimeError as error:
                result["failed"][child.name] = f"not ready: {error}"
                child.process.kill()
        print(f"{len(waiting)} ready after {time.perf_counter() - began:.0f} s", flush=True)
        for child in waiting:
            start = time.perf_counter()
            try:
                child.go()
                result["rows"].append(json.loads(child.line(given.budget - (start - began))))
            except (RuntimeError, OSError) as error:
                result["failed"][child.name] = str(error)
            child.process.kill()
            child.process.wait()
            given.json.write_text(json.dumps(result, indent=1) + "\n")
            print(f"{child.name}: {time.perf_counter() - start:.0f} s", flush=True)
    finally:
        for child in children:
            child.process.kill()
    given.json.write_text(json.dumps(result, indent=1) + "\n")
    for name, reason in result["failed"].items():
        print(f"{name}: {reason}")


if __name__ == "__main__":
    main()
