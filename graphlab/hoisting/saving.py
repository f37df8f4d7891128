"""A hoisted stage in a folder: three programs, a manifest of what feeds what, and perhaps the rows of the table."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from graphlab.errors import GraphlabError, SourceError
from graphlab.hoisting.result import BoundaryValue, HoistResult
from graphlab.hoisting.runner import HoistedState
from graphlab.program import Program
from graphlab.sources.archive import load_exported_program
from graphlab.sources.extract import extract
from graphlab.sources.module import saved_history, saved_notes

SCHEMA = "graphlab.hoisted/1"
PARTS = ("prologue", "table", "step")
MANIFEST, ROWS = "hoisted.json", "table.safetensors"
MOST_MANIFEST_BYTES = 1 << 26


def save(result: HoistResult, folder: Path, state: HoistedState | None = None) -> None:
    """Writes `result` into the new folder `folder`, whole or not at all.

    It holds prologue.pt2, table.pt2 and step.pt2 (those there are) and hoisted.json. With `state`, what
    `HoistedStage.prepare` returned, also table.safetensors: every row value (steps, ...) and, as "timestep:NAME",
    the schedule inputs (steps, ...). GraphlabError for a result without parts, SourceError where the folder cannot
    be written or is there already.
    """
    if not result.modified:
        raise GraphlabError(f"nothing of {result.name} was hoisted: {result.reason}", hint="save the program itself")
    new_folder(Path(folder), partial(_write, result, state))


def new_folder(folder: Path, write: Callable[[Path], None]) -> None:
    """Makes the new folder `folder` of what `write` puts into the folder it is given, whole or not at all.

    SourceError where the folder cannot be written or is there already.
    """
    if folder.exists():
        raise SourceError(f"{folder} is there already", hint="name a new folder")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise SourceError(f"{folder} cannot be written: {error.strerror or error}") from error
    try:
        write(made)
        made.chmod(0o755)
        os.rename(made, folder)
    except OSError as error:
        raise SourceError(f"{folder} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(made, ignore_errors=True)


def save_programs(programs: Iterable[tuple[str, Program]], folder: Path) -> None:
    """PART.pt2 in `folder` of every (part, program)."""
    for part, program in programs:
        assert program.exported is not None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own deprecations
            torch.export.save(program.exported, folder / f"{part}.pt2")


def _write(result: HoistResult, state: HoistedState | None, folder: Path) -> None:
    save_programs(result.programs, folder)
    if state is not None:
        from safetensors.torch import save_file

        rows = {name: value.detach().contiguous().cpu() for name, value in state.rows.items()}
        for name in state.schedule[0] if state.schedule else ():
            rows[f"timestep:{name}"] = torch.stack([item[name].detach().cpu() for item in state.schedule])
        save_file(rows, folder / ROWS)
    (folder / MANIFEST).write_text(json.dumps(manifest(result), indent=2) + "\n")


def manifest(result: HoistResult) -> dict[str, Any]:
    """What hoisted.json holds: the parts in order, what they take and give, and where each value goes."""
    outputs = {"prologue": result.prologue_outputs, "table": result.table_outputs, "step": ()}
    parts = [
        {
            "part": part,
            "file": f"{part}.pt2",
            "runs": {"prologue": "once", "table": "once a timestep, before the loop", "step": "every step"}[part],
            "inputs": [_input(result, part, node.name) for node in program.graph.inputs],
            "outputs": list(outputs[part]),
        }
        for part, program in result.programs
    ]
    return {
        "schema": SCHEMA,
        "name": result.name,
        "parts": parts,
        "invariant": list(result.invariant),
        "schedule": list(result.schedule),
        "boundary": [asdict(item) for item in result.boundary],
    }


def _input(result: HoistResult, part: str, name: str) -> dict[str, Any]:
    made = next((item for item in result.boundary if item.name == name), None)
    return {"name": name, "from": made.producer if made else "caller", "shape_only": (part, name) in result.shape_only}


def load(folder: Path) -> HoistResult:
    """The result saved in `folder`, without changes and report; SourceError where files do not belong together."""
    folder = Path(folder)
    document = _manifest(folder / MANIFEST)
    programs: dict[str, Program] = {}
    try:
        outputs = {entry["part"]: tuple(map(str, entry["outputs"])) for entry in document["parts"]}
        shape_only = tuple(
            (str(entry["part"]), str(item["name"]))
            for entry in document["parts"]
            for item in entry["inputs"]
            if item["shape_only"]
        )
        boundary = tuple(_boundary(item) for item in document["boundary"])
        names = {entry["part"]: [str(item["name"]) for item in entry["inputs"]] for entry in document["parts"]}
        name = str(document["name"])
        roles = {key: tuple(map(str, document[key])) for key in ("invariant", "schedule")}
    except (KeyError, TypeError, AttributeError) as error:
        raise SourceError(f"{folder / MANIFEST} is damaged ({error!r})", hint="save the result again") from error
    if "step" not in names or not set(names) <= set(PARTS):
        raise SourceError(f"{folder / MANIFEST} lists the parts {', '.join(map(str, names))}")
    for part in names:
        programs[part] = _program(folder / f"{part}.pt2", f"{name} {part}")
        _check(programs[part], names[part], outputs[part] if part != "step" else None, folder / f"{part}.pt2")
    result = HoistResult(name, programs["step"], prologue=programs.get("prologue"), table=programs.get("table"))
    return replace(
        result,
        prologue_outputs=outputs.get("prologue", ()),
        table_outputs=outputs.get("table", ()),
        shape_only=shape_only,
        invariant=roles["invariant"],
        schedule=roles["schedule"],
        boundary=boundary,
    )


def load_rows(folder: Path) -> tuple[dict[str, torch.Tensor], tuple[dict[str, torch.Tensor], ...]]:
    """(rows (steps, ...) by name, schedule inputs of every timestep) saved in `folder`; SourceError without them."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        found = load_file(Path(folder) / ROWS)
    except (OSError, SafetensorError) as error:
        raise SourceError(f"{Path(folder) / ROWS} cannot be read: {error}") from error
    rows = {name: value for name, value in found.items() if not name.startswith("timestep:")}
    times = {name.removeprefix("timestep:"): value for name, value in found.items() if name.startswith("timestep:")}
    steps = min((len(value) for value in found.values()), default=0)
    return rows, tuple({name: value[index] for name, value in times.items()} for index in range(steps))


def _manifest(path: Path) -> Mapping[str, Any]:
    try:
        if path.stat().st_size > MOST_MANIFEST_BYTES:
            raise SourceError(f"{path} is too large for a manifest")
        document = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise SourceError(f"{path} cannot be read: {error}", hint="name the folder hoisting wrote") from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise SourceError(f"{path} is no manifest of {SCHEMA}")
    return document


def _boundary(item: Mapping[str, Any]) -> BoundaryValue:
    shape = tuple(size if isinstance(size, int) else str(size) for size in item["shape"])
    return BoundaryValue(
        str(item["name"]), str(item["producer"]), tuple(map(str, item["consumers"])), shape,
        str(item["dtype"]), int(item["nbytes"]), str(item["module"]), str(item["op"]),
    )  # fmt: skip


def _program(path: Path, name: str) -> Program:
    exported = load_exported_program(path)
    return Program(name, extract(exported), exported, saved_notes(exported), saved_history(exported))


def _check(program: Program, inputs: Sequence[str], outputs: Sequence[str] | None, path: Path) -> None:
    found = [node.name for node in program.graph.inputs]
    if found != list(inputs):
        raise SourceError(f"{path} takes {', '.join(found)}, its manifest says {', '.join(inputs)}")
    if outputs is not None and len(program.graph.results) != len(outputs):
        raise SourceError(f"{path} returns {len(program.graph.results)} values, its manifest says {len(outputs)}")
