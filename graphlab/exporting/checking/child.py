"""One job of a check: `python -m graphlab.exporting.checking.child JOB.json`."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def _structure(arguments: Mapping[str, Any]) -> dict[str, Any]:
    from graphlab.exporting.checking.structure import check_structure

    return check_structure(Path(arguments["model"]))


def _pytorch(arguments: Mapping[str, Any]) -> dict[str, Any]:
    from graphlab.exporting.checking.in_torch import run_program

    return run_program(arguments)


def _ranges(arguments: Mapping[str, Any]) -> dict[str, Any]:
    from graphlab.exporting.checking.in_torch import largest_values

    return largest_values(arguments)


def _onnxruntime(arguments: Mapping[str, Any]) -> dict[str, Any]:
    from graphlab.exporting.checking.in_onnxruntime import run_model

    return run_model(arguments)


_STAGES: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "structure": _structure,
    "pytorch": _pytorch,
    "ranges": _ranges,
    "onnxruntime": _onnxruntime,
}


def main(path: Path) -> None:
    """Does the job in `path` and writes its answer, or {"error": one line}, where the job says."""
    job = json.loads(path.read_text())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch and onnx about themselves
            answer = _STAGES[job["stage"]](job["arguments"])
    except Exception as error:  # the other side raises it again, in its own words
        answer = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:600]}"}
    Path(job["answer"]).write_text(json.dumps(answer))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
