"""The PyTorch side of a check: a program run operator by operator at several sizes. Runs in a process of its own."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch

import graphlab.exporting.reshape
import graphlab.fused  # noqa: F401  # programs may call the operators of both
from graphlab.exporting.checking.figures import difference
from graphlab.exporting.checking.tensors import MappedTensors, TensorWriter, write_tensors
from graphlab.program import Program
from graphlab.sources.extract import extract
from graphlab.verification.inputs import program_inputs
from graphlab.verification.run import Execution, RunError, wide
from graphlab.verification.tape import Tape, refs_in, tape

_CPU = torch.device("cpu")


def run_program(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Runs the program of the file `program` with the values of `weights` at the first `count` of `cases` that run.

    A case is {"sizes", "seed"}. Inputs are drawn as verification draws them, floating ones rounded to `round` (a
    dtype, or None) and given as the program takes them. For each case run, inputs go to the file `inputs-N` of
    `folder`, results to `results-N`, and the values named in `wanted` to `values-N`.
    """
    program, weights = _opened(arguments)
    folder = Path(arguments["folder"])
    cases: list[dict[str, Any]] = []
    failed: list[str] = []
    for case in arguments["cases"]:
        if len(cases) == arguments["count"]:
            break
        number = len(cases)
        try:
            noise = _run(program, weights, case, arguments, folder, number)
        except RunError as error:
            failed.append(f"{case['sizes']}: {error.message}")
            continue
        cases.append({**case, "number": number, "noise": noise})
    return {"cases": cases, "failed": failed}


def largest_values(told: Mapping[str, Any]) -> dict[str, Any]:
    """{"largest": {node: its largest finite magnitude}} of values between `above` and `below`, at `count` of `cases`.

    Program, weights and cases are those of `run_program`. Raises what the last case raises when none can be run.
    """
    program, weights = _opened(told)
    wanted = [call.name for call in program.calls]
    found: dict[str, float] = {}
    ran = 0
    for index, case in enumerate(told["cases"]):
        if ran == told["count"]:
            break
        try:
            for name, value in _execution(program, weights, _inputs(program, case, None), wanted):
                largest = _largest(value)
                if told["above"] < largest < told["below"]:
                    found[name] = max(found.get(name, 0.0), largest)
        except RunError:
            if not ran and index == len(told["cases"]) - 1:
                raise
            continue
        ran += 1
    return {"largest": found}


def _largest(value: Any) -> float:
    tensors = [
        item for item in (value if isinstance(value, (tuple, list)) else [value]) if isinstance(item, torch.Tensor)
    ]
    finite = [item[item.isfinite()].abs() for item in tensors if item.is_floating_point()]
    return max((float(item.max()) for item in finite if item.numel()), default=0.0)


def _opened(told: Mapping[str, Any]) -> tuple[Tape, MappedTensors]:
    # Not as a stranger's file: `lay_down` wrote it, and a translated program calls operators that no file may.
    exported = torch.export.load(told["program"])
    return tape(Program("", extract(exported), exported)), MappedTensors(Path(told["weights"]))


def _inputs(program: Tape, case: Mapping[str, Any], rounding: str | None) -> dict[str, torch.Tensor]:
    made = program_inputs(program.program.graph.at(case["sizes"]), case["seed"], _CPU)
    if rounding is None:
        return made
    half = getattr(torch, rounding)
    return {name: v.to(half).to(v.dtype) if v.is_floating_point() else v for name, v in made.items()}


def _execution(
    program: Tape,
    weights: MappedTensors,
    inputs: Mapping[str, torch.Tensor],
    wanted: Collection[str],
    keep: Collection[str] = (),
) -> Execution:
    held = {name: weights[key] for name, key in program.weights.items()}
    given = {**held, **program.constants, **inputs}
    return Execution(program.calls, given, device=_CPU, double=False, wanted=wanted, keep=keep)


def _run(
    program: Tape, weights: MappedTensors, case: Mapping[str, Any], told: Mapping[str, Any], folder: Path, number: int
) -> float:
    inputs = _inputs(program, case, told.get("round"))
    results = [value for value in program.results if next(refs_in(value), None) is not None]
    execution = _execution(program, weights, inputs, told.get("wanted", ()), list(refs_in(results)))
    for kind in ("inputs", "results", "values"):
        for path in folder.glob(f"{kind}-{number}*"):
            path.unlink()
    with TensorWriter(folder / f"values-{number}") as writer:
        for name, value in execution:
            if isinstance(value, torch.Tensor):
                writer.add(name, value)
            elif isinstance(value, (tuple, list)):
                for index, item in enumerate(value):
                    writer.add(f"{name}#{index}", item)
    made = [value for value in execution.results(results) if isinstance(value, torch.Tensor)]
    write_tensors(folder / f"inputs-{number}", inputs.items())
    write_tensors(folder / f"results-{number}", ((str(index), value) for index, value in enumerate(made)))
    return _noise(program, weights, inputs, results, made) if told.get("noise") else 0.0


def _noise(
    program: Tape, weights: MappedTensors, inputs: Mapping[str, torch.Tensor], results: Any, made: list[torch.Tensor]
) -> float:
    """How far `made` is from the same run in float64, as a share of its root mean square: what rounding does to it."""
    held = {name: weights[key] for name, key in program.weights.items()}
    given = {name: wide(value) for name, value in {**held, **program.constants, **inputs}.items()}
    execution = Execution(program.calls, given, device=_CPU, double=True, keep=list(refs_in(results)))
    execution.finish()
    exact = [value for value in execution.results(results) if isinstance(value, torch.Tensor)]
    found = [difference(want, have.to(want.dtype)).error for want, have in zip(exact, made, strict=True)]
    return max((error for error in found if math.isfinite(error)), default=0.0)
