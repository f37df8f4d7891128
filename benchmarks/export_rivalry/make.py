"""One model file made in this process: `python -m benchmarks.export_rivalry.make CASE LATENT NAME FOLDER`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.export_rivalry.cases import Case, case
from benchmarks.export_rivalry.children import LIMIT_GIB, answer, run_child
from benchmarks.export_rivalry.makers import discard, make, model_path, needs


def made(of: Case, name: str, folder: Path, limit_gib: float = LIMIT_GIB, seconds: float | None = None) -> str | None:
    """Makes the file `name` of `of` unless it lies in `folder`; None, or why there is none.

    Each is made in a child under a memory limit; beside it lies made.json, with what that took.
    """
    if model_path(folder, name).is_file() and note(folder, name):
        return None
    first = needs(name)
    if first is not None:
        reason = made(of, first, folder, limit_gib, seconds)
        if reason is not None:
            return f"{first}, which it is made of: {reason}"
    discard(folder, name)
    arguments = [of.name, str(of.latent), name, str(folder)]
    found = run_child("benchmarks.export_rivalry.make", arguments, limit_gib, seconds)
    if found.error is not None:
        discard(folder, name)
        return f"not made: {found.error}"
    said = {**found.answer, "child_seconds": found.seconds, "peak_bytes": found.peak_bytes}
    (folder / name / "made.json").write_text(json.dumps(said, indent=1))
    return None


def note(folder: Path, name: str) -> dict[str, Any]:
    """What was written down about the file `name`; empty where there is none."""
    path = folder / name / "made.json"
    return dict(json.loads(path.read_text())) if path.is_file() else {}


def main() -> None:
    """Makes the file and answers."""
    name, latent, what, folder = sys.argv[1:]
    answer(**make(case(name, int(latent)), what, Path(folder)))


if __name__ == "__main__":
    main()
