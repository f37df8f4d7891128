"""A program written as an .onnx file for a runtime that reads one."""

from __future__ import annotations

from pathlib import Path

from graphlab.lowering.base import Tensors
from graphlab.lowering.derived import Derived
from graphlab.program import Program


def write_onnx(program: Program, values: Tensors, target: str, path: Path) -> None:
    """`program` with `values` at `path`, in the operators of `target`; ExportError for what has no translation."""
    from graphlab.exporting.probe import probed
    from graphlab.exporting.saving import save_model
    from graphlab.exporting.targets import target_named
    from graphlab.exporting.translate import to_onnx

    lowered = to_onnx(program, probed(target_named(target))[0])
    save_model(lowered, Derived(values, lowered.new_tensors), path)
