"""The PyTorch side of a check: a program run operator by operator at several sizes. Runs in a process of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

import graphlab.fused  # noqa: F401  # programs may call its operators
from graphlab.exporting.checking.tensors import MappedTensors, TensorWriter, write_tensors
from graphlab.program import Program
from graphlab.sources.archive import load_exported_program
from graphlab.sources.extract import extract
from graphlab.verification.inputs import program_inputs
from graphlab.verification.run import Execution, RunError
from graphlab.verification.tape import Tape, refs_in, tape

_CPU = torch.device("cpu")


def run_program(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Runs the program of the file `program` with the values of `weights` at the first `count` of `cases` that run.

    A case is {"sizes", "seed"}. Inputs are drawn as verification draws them, floating ones rounded to `round` (a
    dtype, or None) and given as the program takes them. For each case run, inputs go to the file `inputs-N` of
    `folder`, results to `results-N`, and the values named in `wanted` to `values-N`.
    """
    exported = load_exported_program(Path(arguments["program"]))
    program = tape(Program("", extract(exported), exported))
    weights, folder = MappedTensors(Path(arguments["weights"])), Path(arguments["folder"])
    cases: list[dict[str, Any]] = []
    failed: list[str] = []
    for case in arguments["cases"]:
        if len(cases) == arguments["count"]:
            break
        number = len(cases)
        try:
            _run(program, weights, case, arguments, folder, number)
        except RunError as error:
            failed.append(f"{case['sizes']}: {error.message}")
            continue
        cases.append({**case, "number": number})
    return {"cases": cases, "failed": failed}


def _run(
    program: Tape, weights: MappedTensors, case: Mapping[str, Any], told: Mapping[str, Any], folder: Path, number: int
) -> None:
    graph = program.program.graph.at(case["sizes"])
    inputs = program_inputs(graph, case["seed"], _CPU)
    if told.get("round"):
        rounding = getattr(torch, told["round"])
        inputs = {key: value.to(rounding).to(value.dtype) if value.is_floating_point() else value
                  for key, value in inputs.items()}  # fmt: skip
    held = {name: weights[key] for name, key in program.weights.items()}
    wanted = set(told.get("wanted", ()))
    results = [value for value in program.results if next(refs_in(value), None) is not None]
    execution = Execution(
        program.calls,
        {**held, **program.constants, **inputs},
        device=_CPU,
        double=False,
        wanted=wanted,
        keep=list(refs_in(results)),
    )
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
