"""`check_model`: a written model against the program it was made of."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from graphlab.exporting.checking.cases import RUNS, Chosen, chosen_cases
from graphlab.exporting.checking.process import ChildDied, ChildError, Jobs
from graphlab.exporting.checking.reference import Reference, laid_down, reference_of
from graphlab.exporting.checking.report import CaseCheck, CheckReport, Structure
from graphlab.exporting.targets import Target
from graphlab.program import Program
from graphlab.rewriting.new_tensor import NewTensor
from graphlab.units import format_bytes
from graphlab.weights.source import WeightSource

ANY_PROVIDER = "CPUExecutionProvider"
"""Who runs a model for any runtime."""

TOLERANCES: Mapping[str, float] = {"float64": 2e-4, "float32": 2e-4, "float16": 5e-2, "bfloat16": 0.3}
"""{dtype: largest error, as a share of the root mean square of PyTorch's result, that counts as rounding}.

With random weights a tiny U-Net was 5.3e-6 off in float32, a tiny DiT 1.4e-5, and 1.8e-3 in float16: the bounds leave
a factor of 15 and of 27 for deeper models. That of bfloat16, which rounds eight times as coarsely as float16, is
derived and was not measured.
"""


def check_model(
    path: Path,
    reference: Program,
    source: WeightSource,
    target: Target,
    *,
    new_tensors: Sequence[NewTensor] = (),
    base: Program | None = None,
    input_names: Mapping[str, str] | None = None,
    dtype: str | None = None,
    tolerance: float | None = None,
) -> CheckReport:
    """The model at `path` against `reference`, the program before it was rewritten, with the values of `source`.

    `new_tensors` and `base` are as `Values` takes them, where the reference itself was made by a rewrite. `input_names`
    are {input of the program: what the model calls it}; `dtype` is that of the model, None for the program's own.

    The structure comes first (`checking.structure`), then PyTorch runs the reference operator by operator at two sets
    of sizes, of a static program with two sets of inputs, in float32; for a model of half precision with weights and
    inputs rounded to it. ONNX Runtime runs the model on the target's provider with all its optimisations. The error is
    the largest absolute difference over the root mean square of PyTorch's result, the worst over the results. In full
    precision PyTorch also runs in float64: an error that its own rounding explains is none.
    Every part is a process of its own, one after the other, so that memory is never held twice; weights pass through a
    file beside the model.

    Tolerances are those of TOLERANCES where none is given. A program of a stranger is run: ask `refuse_foreign` first.
    What cannot be checked (a provider or memory that is not there, a process that was killed) is said in the report.
    """
    made = reference_of(reference, dtype)
    allowed = TOLERANCES[made.model_dtype] if tolerance is None else tolerance
    empty = CheckReport(False, "", target.provider or ANY_PROVIDER, made.said, allowed, None)
    with working_folder(path) as folder:
        jobs = Jobs(folder)
        try:
            report = replace(empty, structure=_structure(jobs, path))
        except ChildError as error:
            return replace(empty, broken=error.message)
        except ChildDied as error:
            return replace(empty, why=error.message)
        if not report.sound:
            return replace(report, why="its structure is wrong")
        weight_bytes = sum(item.stat().st_size for item in (path, data_of(path)) if item.exists())
        chosen = chosen_cases(made.tape, weight_bytes)
        room = _no_room(made, chosen, folder)
        if room:
            return replace(report, why=room)
        made.lay_down(folder, source, new_tensors, base)
        return _compared(_Run(jobs, path, made, chosen, input_names or {}), report)


@contextmanager
def working_folder(path: Path) -> Iterator[Path]:
    """A folder beside `path`, where there is room for files of its size, that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=f".{path.name}-check-", dir=path.parent) as folder:
        yield Path(folder)


def data_of(path: Path) -> Path:
    """Where a model's weights are when they have a file of their own."""
    return path.with_name(f"{path.name}.data")


def _structure(jobs: Jobs, path: Path) -> Structure:
    found = jobs.run("structure", model=str(path))
    return Structure(found["inferred"], found["unknown"], found["foreign"], tuple(found["wrong"]))


def _no_room(made: Reference, chosen: Chosen, folder: Path) -> str:
    """Why nothing can be run; "" where something can."""
    if not chosen.cases:
        return chosen.refused[0]
    free = shutil.disk_usage(folder).free
    if made.weight_bytes > free:
        return (
            f"the weights of the reference take {format_bytes(made.weight_bytes)} beside the model, "
            f"{format_bytes(free)} are free"
        )
    return ""


@dataclass(frozen=True, slots=True)
class _Run:
    jobs: Jobs
    path: Path
    made: Reference
    chosen: Chosen
    names: Mapping[str, str]


def _compared(run: _Run, report: CheckReport) -> CheckReport:
    """`report` with what both sides computed; the weights are in the folder already."""
    folder = run.jobs.folder
    try:
        ran = run.jobs.run(
            "pytorch",
            **laid_down(folder),
            folder=str(folder),
            cases=[case.to_dict() for case in run.chosen.cases],
            count=RUNS,
            round=run.made.rounded,
            noise=run.made.rounded is None,
        )
    except ChildDied as error:
        return replace(report, why=error.message)
    except ChildError as error:
        return replace(report, broken=error.message)
    notes = (*run.chosen.refused, *ran["failed"])
    if not ran["cases"]:
        return replace(report, why=f"PyTorch cannot run the program: {ran['failed'][0]}", notes=notes)
    try:
        found = run.jobs.run(
            "onnxruntime",
            model=str(run.path),
            provider=report.provider,
            folder=str(folder),
            cases=[case["number"] for case in ran["cases"]],
            names=dict(run.names),
        )
    except ChildError as error:
        return replace(report, broken=error.message, notes=notes)
    except ChildDied as error:
        return replace(report, why=error.message, notes=notes)
    if "missing" in found:
        return replace(report, why=found["missing"], notes=notes)
    cases = tuple(_case(case, errors) for case, errors in zip(ran["cases"], found["cases"], strict=True))
    return replace(report, checked=True, cases=cases, notes=notes)


def _case(case: Mapping[str, Any], errors: Mapping[str, Any]) -> CaseCheck:
    worst = max(errors.values(), key=lambda item: item["error"], default={"error": 0.0, "max_error": 0.0})
    largest = max((item["max_error"] for item in errors.values()), default=0.0)
    why = next((f"{name} {item['why']}" for name, item in errors.items() if item["why"]), "")
    return CaseCheck(case["sizes"], case["seed"], worst["error"], largest, why, case["noise"])
