"""openvino: the program as an ONNX model, compiled by OpenVINO for this CPU."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch

from graphlab.lowering.base import Backend, Lowered, Tensors
from graphlab.lowering.distributions import missing
from graphlab.lowering.errors import BackendError
from graphlab.lowering.onnx_file import write_onnx
from graphlab.lowering.resident import release
from graphlab.program import Program
from graphlab.rewriting.options import option

_DTYPES = {"f32": "float32", "bf16": "bfloat16", "f16": "float16"}


@dataclass(frozen=True)
class OpenVino(Backend):
    """OpenVINO on a model that graphlab exports in the operators of the ONNX standard."""

    name: ClassVar[str] = "openvino"

    precision: str = option("f32", "what OpenVINO computes in; left alone it takes bf16 where it can",
                            choices=tuple(_DTYPES))  # fmt: skip

    def unavailable(self) -> str | None:
        """The package is missing."""
        return missing("openvino", "graphlab[openvino]")

    @property
    def computes(self) -> str | None:
        """The precision asked for."""
        return _DTYPES[self.precision]

    def lower(self, program: Program, values: Tensors) -> Lowered:
        """Exports into a temporary folder, compiles what lies there and deletes the folder."""
        with tempfile.TemporaryDirectory(prefix="graphlab-onnx-") as folder:
            path = Path(folder) / "model.onnx"
            start = time.perf_counter()
            write_onnx(program, values, "standard", path)
            exported = time.perf_counter()
            release()
            compiled = self._compiled(path)
            done = time.perf_counter()
        call = _Call(compiled, [node.name for node in program.graph.inputs])
        return Lowered(call, (f"export {exported - start:.2f} s, OpenVINO {done - exported:.2f} s",))

    def open_file(self, path: Path, names: Sequence[str]) -> Lowered:
        """The model at `path` as it is; `names` are what the caller calls its inputs, in order."""
        return Lowered(_Call(self._compiled(path), names))

    def _compiled(self, path: Path) -> Any:
        import openvino as ov

        core = ov.Core()
        settings: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": self.precision,
            "NUM_STREAMS": 1,
        }
        if self.threads is not None:
            settings["INFERENCE_NUM_THREADS"] = self.threads
        return core.compile_model(core.read_model(str(path)), "CPU", settings)


class _Call:
    """Calls a compiled model. `names` are what the caller calls its inputs, in the model's order."""

    def __init__(self, compiled: Any, names: Sequence[str] | None = None) -> None:
        self.request = compiled.create_infer_request()
        self.names = list(names) if names is not None else [item.any_name for item in compiled.inputs]
        self.types = [_dtype(item) for item in compiled.inputs]
        self.outputs = [_dtype(item) for item in compiled.outputs]
        if len(self.names) != len(self.types):
            raise BackendError(f"the model takes {len(self.types)} inputs, the program {len(self.names)}")

    def __call__(self, given: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """The outputs in the model's order; BackendError for a missing input."""
        gone = [name for name in self.names if name not in given]
        if gone:
            raise BackendError(f"the model needs the inputs {', '.join(gone)}")
        values = [
            _tensor(given[name].detach().to("cpu", dtype).contiguous())
            for name, dtype in zip(self.names, self.types, strict=True)
        ]
        for index, value in enumerate(values):
            self.request.set_input_tensor(index, value)
        self.request.infer()
        return tuple(_copied(self.request.get_output_tensor(index), dtype) for index, dtype in enumerate(self.outputs))


_NAMES = {
    "f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16, "f64": torch.float64, "boolean": torch.bool,
    "i64": torch.int64, "i32": torch.int32, "i16": torch.int16, "i8": torch.int8, "u8": torch.uint8,
}  # fmt: skip


def _dtype(item: Any) -> torch.dtype:
    name = item.get_element_type().get_type_name()
    if name not in _NAMES:
        raise BackendError(f"{item.any_name} is a tensor of {name}, which torch has no dtype for")
    return _NAMES[name]


def _tensor(value: torch.Tensor) -> Any:
    """OpenVINO's view of `value`; numpy has no bfloat16, so the bytes of one are told by their type."""
    import openvino as ov

    if value.dtype is torch.bfloat16:
        return ov.Tensor(value.view(torch.int16).numpy(), ov.Shape(list(value.shape)), ov.Type.bf16)
    return ov.Tensor(value.numpy(), shared_memory=True)


def _copied(value: Any, dtype: torch.dtype) -> torch.Tensor:
    if dtype is torch.bfloat16:
        import numpy

        return torch.from_numpy(value.data.view(numpy.int16).copy()).view(torch.bfloat16)
    return torch.from_numpy(value.data.copy())
