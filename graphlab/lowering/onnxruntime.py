"""onnxruntime: the program as an ONNX model, in a session of one execution provider."""

from __future__ import annotations

import ctypes
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

from graphlab.exporting.targets import target_named
from graphlab.lowering.base import Backend, Lowered, Tensors
from graphlab.lowering.distributions import conflict, missing
from graphlab.lowering.onnx_file import write_onnx
from graphlab.lowering.ort_call import LEVELS, PROVIDERS, SessionCall, SessionSettings, open_session
from graphlab.lowering.resident import release
from graphlab.program import Program
from graphlab.rewriting.options import option

_TARGETS = {"cpu": "ort-cpu", "cuda": "ort-cuda", "tensorrt": "standard"}


@dataclass(frozen=True)
class OnnxRuntime(Backend):
    """ONNX Runtime on a model that graphlab exports for its provider."""

    name: ClassVar[str] = "onnxruntime"

    provider: str = option("cpu", "execution provider", choices=tuple(PROVIDERS))
    target: str | None = option(
        None,
        "what the export is written for; the provider's own by default",
        choices=("standard", "ort-cpu", "ort-cuda"),
    )
    inter_op_threads: int = option(1, "operators that may run at once", minimum=1)
    optimization: str = option("all", "ONNX Runtime's own graph optimisations", choices=("all", *LEVELS))

    def unavailable(self) -> str | None:
        """The package or the provider is missing, or several distributions lie over each other."""
        gone = missing("onnxruntime", "onnxruntime") or conflict()
        if gone is not None:
            return gone
        import onnxruntime as ort

        if PROVIDERS[self.provider] not in ort.get_available_providers():
            return f"this onnxruntime has no {PROVIDERS[self.provider]}: `pip install onnxruntime-gpu` in its place"
        if self.provider != "cpu" and not _has_driver():
            return "there is no NVIDIA driver (libcuda.so.1) here; leave provider out for the CPU"
        return None

    @property
    def place(self) -> torch.device:
        """CUDA where torch can put inputs there."""
        return torch.device("cuda" if self.provider != "cpu" and torch.cuda.is_available() else "cpu")

    @property
    def written_for(self) -> str:
        """The target of the export: the provider's own where none is asked for."""
        return self.target or _TARGETS[self.provider]

    @property
    def leaves_out(self) -> tuple[str, ...]:
        """What `graphlab export` leaves out of a level for that target."""
        return target_named(self.written_for).without

    @property
    def settings(self) -> SessionSettings:
        """How its sessions run."""
        return SessionSettings(self.provider, self.threads, self.inter_op_threads, self.optimization)

    def lower(self, program: Program, values: Tensors) -> Lowered:
        """Exports into a temporary folder, opens a session there and deletes the folder."""
        with tempfile.TemporaryDirectory(prefix="graphlab-onnx-") as folder:
            path = Path(folder) / "model.onnx"
            start = time.perf_counter()
            write_onnx(program, values, self.written_for, path)
            exported = time.perf_counter()
            release()
            session = open_session(path, self.settings)
            opened = time.perf_counter()
        call = SessionCall(session, [node.name for node in program.graph.inputs])
        notes = [f"export {exported - start:.2f} s, session {opened - exported:.2f} s"]
        if self.provider != "cpu":
            notes.append("results are copied to the host in every call")
        return Lowered(call, tuple(notes))

    def open_file(self, path: Path, names: Sequence[str]) -> Lowered:
        """The model at `path` as it is; `names` are what the caller calls its inputs, in order."""
        return Lowered(SessionCall(open_session(path, self.settings), names))


def _has_driver() -> bool:
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True
