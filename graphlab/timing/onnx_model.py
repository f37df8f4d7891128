"""An ONNX file of somebody's as a stage to be benched: run as it is, beside itself without optimisations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from graphlab.pipeline import Facts
from graphlab.program import Program
from graphlab.sources.stage import axis_sizes, program_for
from graphlab.timing.errors import BenchError
from graphlab.timing.job import ProgramFiles
from graphlab.timing.prepare import drawn
from graphlab.timing.store import write_tensors
from graphlab.workload import Stage, Workload

SUFFIX = ".onnx"


def is_onnx(workload: Workload) -> bool:
    """Whether `workload` is an ONNX file."""
    path = Path(workload.source)
    return path.suffix == SUFFIX and path.is_file()


@dataclass
class OnnxFiles:
    """What `StageFiles` is to a stage that can be captured: the file, and inputs under `values`, the sizes in force."""

    workload: Workload
    stage: Stage
    values: Mapping[str, int | float]
    folder: Path

    reference_backend: ClassVar[str] = "onnxruntime,optimization=none"
    reference: ClassVar[str] = "onnxruntime without graph optimisations"
    weights: ClassVar[str] = "source"
    weight_notes: ClassVar[tuple[str, ...]] = ()

    @property
    def reference_dtype(self) -> str:
        """That of the file."""
        return self.stage.dtype

    @cached_property
    def facts(self) -> Facts:
        """Facts about the graph of the file at the sizes in force."""
        sizes = axis_sizes(self.stage, self.values)
        program = self.program(self.stage.dtype)
        return Facts(program.graph, {symbol: sizes[symbol] for symbol in program.graph.symbols})

    def program(self, dtype: str) -> Program:
        """The file's graph; BenchError for another dtype than its own."""
        if dtype != self.stage.dtype:
            raise BenchError(
                f"{self.workload.source} is in {self.stage.dtype}, it cannot be run in {dtype}",
                hint="leave dtype out; openvino takes precision=bf16",
            )
        return program_for(self.stage, self.values, dynamic=False, disk=False)

    def files(self, dtype: str, rewrite: int, without: tuple[str, ...] = ()) -> ProgramFiles:
        """The file; BenchError where it was to be rewritten."""
        self.program(dtype)
        if rewrite:
            raise BenchError(f"an ONNX file is not rewritten at -O{rewrite}", hint="bench the model it was made from")
        path = str(Path(self.workload.source).resolve())
        return ProgramFiles(self.stage.name, path, (), str(self.inputs))

    def require_room(self) -> None:
        """Nothing: how much a runtime takes for a file is its own matter, and is measured."""

    @cached_property
    def inputs(self) -> Path:
        """The file of the inputs, in the model's order: random, the same for every candidate."""
        made = drawn(self.facts.graph, {})
        path = self.folder / "inputs.safetensors"
        write_tensors(path, made, made)
        return path
