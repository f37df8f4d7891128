"""An ONNX Runtime session as a callable on torch tensors: memory is shared, nothing is copied on the way in."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from graphlab.lowering.errors import BackendError

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
LEVELS = {"none": "ORT_DISABLE_ALL", "basic": "ORT_ENABLE_BASIC", "extended": "ORT_ENABLE_EXTENDED"}
"""Names of graph optimisation levels beside "all"."""

_TYPES = {
    "tensor(float)": (1, torch.float32),
    "tensor(uint8)": (2, torch.uint8),
    "tensor(int8)": (3, torch.int8),
    "tensor(int16)": (5, torch.int16),
    "tensor(int32)": (6, torch.int32),
    "tensor(int64)": (7, torch.int64),
    "tensor(bool)": (9, torch.bool),
    "tensor(float16)": (10, torch.float16),
    "tensor(double)": (11, torch.float64),
    "tensor(bfloat16)": (16, torch.bfloat16),
}
"""{ONNX Runtime's name: (number in TensorProto.DataType, torch's dtype)}."""


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """How a session runs: its provider, threads inside an operator and between operators, graph optimisations."""

    provider: str = "cpu"
    threads: int | None = None
    inter_op_threads: int = 1
    optimization: str = "all"


def open_session(path: Path, settings: SessionSettings) -> Any:
    """A session of the model at `path`; BackendError where its provider does not take it.

    Threads spin while a call runs and stop when it is over, so that an idle session leaves the processor to others.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = settings.threads or 0
    options.inter_op_num_threads = settings.inter_op_threads
    if settings.inter_op_threads > 1:
        options.execution_mode = ort.ExecutionMode.ORT_PARALLEL
    if settings.optimization in LEVELS:
        options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, LEVELS[settings.optimization])
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.log_severity_level = 3
    wanted = PROVIDERS[settings.provider]
    chain = [wanted] if settings.provider == "cpu" else [wanted, *_fallbacks(settings.provider)]
    session = ort.InferenceSession(str(path), options, providers=chain)
    if session.get_providers()[0] != wanted:
        raise BackendError(
            f"onnxruntime did not load {wanted}", hint="its libraries (CUDA, cuDNN, TensorRT) must be installed"
        )
    return session


def _fallbacks(provider: str) -> list[str]:
    """Who takes what the provider has no kernel for."""
    return [PROVIDERS["cuda"], PROVIDERS["cpu"]] if provider == "tensorrt" else [PROVIDERS["cpu"]]


class SessionCall:
    """Calls `session`. `names` are what the caller calls its inputs, in the session's order."""

    def __init__(self, session: Any, names: Sequence[str] | None = None) -> None:
        self.session = session
        inputs = session.get_inputs()
        self.inputs = [
            (ours, item.name, *_type(item))
            for ours, item in zip(names or [i.name for i in inputs], inputs, strict=True)
        ]
        self.outputs = [(item.name, item.shape, *_type(item)) for item in session.get_outputs()]

    def __call__(self, given: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, ...]:
        """The outputs in the session's order, on the CPU; BackendError for a missing input."""
        binding = self.session.io_binding()
        alive = [self._bind(binding, given, *item) for item in self.inputs]
        made = [_prepare(binding, *item) for item in self.outputs]
        settle(alive)
        self.session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        del alive
        values = binding.get_outputs()
        return tuple(
            ready if ready is not None else _copied(value, dtype)
            for ready, value, (_, _, _, dtype) in zip(made, values, self.outputs, strict=True)
        )

    def _bind(
        self, binding: Any, given: Mapping[str, torch.Tensor], ours: str, name: str, number: int, dtype: torch.dtype
    ) -> torch.Tensor:
        if ours not in given:
            raise BackendError(f"the model needs the input {ours}")
        value = given[ours].detach().to(dtype).contiguous()
        place = "cuda" if value.is_cuda else "cpu"
        binding.bind_input(name, place, value.device.index or 0, number, tuple(value.shape), value.data_ptr())
        return value


def settle(values: Sequence[torch.Tensor]) -> None:
    """Waits until torch has made `values`: ONNX Runtime reads from a stream of its own."""
    for device in {value.device for value in values if value.is_cuda}:
        torch.cuda.current_stream(device).synchronize()


def _type(item: Any) -> tuple[int, torch.dtype]:
    if item.type not in _TYPES:
        raise BackendError(f"{item.name} is a {item.type}, which torch has no dtype for")
    return _TYPES[item.type]


def _prepare(binding: Any, name: str, shape: Sequence[Any], number: int, dtype: torch.dtype) -> torch.Tensor | None:
    """Memory for an output of fixed size; None, and memory of the session's choice, for another."""
    if not all(isinstance(size, int) and size > 0 for size in shape):
        binding.bind_output(name, "cpu")
        return None
    made = torch.empty(tuple(shape), dtype=dtype)
    binding.bind_output(name, "cpu", 0, number, tuple(shape), made.data_ptr())
    return made


def _copied(value: Any, dtype: torch.dtype) -> torch.Tensor:
    """An output as a tensor of its own; numpy, the other way out, has no bfloat16."""
    shape, size = tuple(value.shape()), value.tensor_size_in_bytes()
    if size == 0:
        return torch.empty(shape, dtype=dtype)
    memory = (ctypes.c_char * size).from_address(value.data_ptr())
    return torch.frombuffer(memory, dtype=dtype).reshape(shape).clone()
