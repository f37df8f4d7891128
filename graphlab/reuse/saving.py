"""A stage that reuses features in a folder: two programs, and a manifest that says they are approximate."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

from graphlab.errors import GraphlabError
from graphlab.hoisting.saving import new_folder, save_programs
from graphlab.reuse.result import ReuseResult

SCHEMA = "graphlab.reused/1"
MANIFEST = "reused.json"


def save(result: ReuseResult, folder: Path) -> None:
    """Writes `result` into the new folder `folder`, whole or not at all: refresh.pt2, reuse.pt2 and reused.json.

    GraphlabError for a result without parts, SourceError where the folder cannot be written or is there already.
    """
    if not result.modified:
        raise GraphlabError(f"nothing of {result.name} is reused: {result.reason}", hint="save the program itself")
    new_folder(Path(folder), partial(_write, result))


def _write(result: ReuseResult, folder: Path) -> None:
    save_programs(result.programs, folder)
    (folder / MANIFEST).write_text(json.dumps(manifest(result), indent=2) + "\n")


def manifest(result: ReuseResult) -> dict[str, Any]:
    """What reused.json holds: which program runs when, what each takes and gives, and that it is approximate."""
    kept = [item.name for item in result.kept]
    runs = {"refresh": f"steps 0, {result.every}, {2 * result.every}, ...", "reuse": "the other steps"}
    parts = [
        {
            "part": part,
            "file": f"{part}.pt2",
            "runs": runs[part],
            "inputs": [
                {"name": node.name, "from": "refresh" if node.name in kept else "caller"}
                for node in program.graph.inputs
            ],
            "results": result.results,
            "features": kept if part == "refresh" else [],
        }
        for part, program in result.programs
    ]
    return {
        "schema": SCHEMA,
        "name": result.name,
        "approximate": result.every > 1,
        "every": result.every,
        "parts": parts,
    }


def _input(name: str, kept: list[str]) -> dict[str, str]:
    return {"name": name, "from": "refresh" if name in kept else "caller"}
