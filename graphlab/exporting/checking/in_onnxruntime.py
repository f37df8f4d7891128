"""ONNX Runtime's side of a check: a written model run and compared with what PyTorch left. In a process of its own."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from graphlab.exporting.checking.figures import difference
from graphlab.exporting.checking.tensors import MappedTensors

_DTYPES = {
    "tensor(float)": (1, torch.float32), "tensor(uint8)": (2, torch.uint8), "tensor(int8)": (3, torch.int8),
    "tensor(int16)": (5, torch.int16), "tensor(int32)": (6, torch.int32), "tensor(int64)": (7, torch.int64),
    "tensor(bool)": (9, torch.bool), "tensor(float16)": (10, torch.float16), "tensor(double)": (11, torch.float64),
    "tensor(bfloat16)": (16, torch.bfloat16),
}  # fmt: skip
"""{ONNX Runtime's name: (number of TensorProto.DataType, torch's dtype)}."""


def run_model(told: Mapping[str, Any]) -> dict[str, Any]:
    """Runs `model` on `provider` with the inputs in `folder` of every number of `cases` and compares.

    `names` are {input of the program: input of the model}; without `values` the results are compared with those in
    `folder`, otherwise the results that are called like the keys of `values` ({name in the model: name of the value
    PyTorch left}). Errors are {"error", "max_error", "why"}, by case and result. {"missing": why} where the provider
    cannot run here; a model it does not take raises.
    """
    session = _session(told["model"], told["provider"])
    if session is None:
        return {"missing": f"onnxruntime cannot run {told['provider']} here"}
    folder, values = Path(told["folder"]), told.get("values")
    cases = []
    for number in told["cases"]:
        outputs = _run(session, MappedTensors(folder / f"inputs-{number}"), told["names"])
        if values is None:
            expected: Mapping[str, torch.Tensor] = MappedTensors(folder / f"results-{number}")
            if len(expected) != len(outputs):
                raise ValueError(f"the model has {len(outputs)} results, the program {len(expected)}")
            pairs = [(str(index), name) for index, name in enumerate(outputs)]
        else:
            expected = MappedTensors(folder / f"values-{number}")
            pairs = [(theirs, ours) for ours, theirs in values.items() if theirs in expected]
        found = {}
        for theirs, ours in pairs:
            apart = difference(expected[theirs], outputs[ours])
            found[ours] = {"error": apart.error, "max_error": apart.max_error, "why": apart.why}
        cases.append(found)
    return {"cases": cases}


def _session(model: str, provider: str) -> Any:
    """With every optimisation on, as whoever loads the model has it; None where `provider` cannot run here."""
    import onnxruntime as ort

    if provider not in ort.get_available_providers():
        return None
    options = ort.SessionOptions()
    options.log_severity_level = 3
    wanted = [provider] if provider == "CPUExecutionProvider" else [provider, "CPUExecutionProvider"]
    session = ort.InferenceSession(model, options, providers=wanted)
    return session if session.get_providers()[0] == provider else None


def _run(session: Any, given: Mapping[str, torch.Tensor], names: Mapping[str, str]) -> dict[str, torch.Tensor]:
    binding = session.io_binding()
    ours = {names.get(name, name): name for name in given}
    alive = [_bind(binding, item, ours, given) for item in session.get_inputs()]
    outputs = session.get_outputs()
    for item in outputs:
        binding.bind_output(item.name, "cpu")
    session.run_with_iobinding(binding)
    del alive
    return {
        item.name: _tensor(value, item.type)
        for item, value in zip(outputs, binding.get_outputs(), strict=True)
        if item.type in _DTYPES
    }


def _bind(binding: Any, item: Any, ours: Mapping[str, str], given: Mapping[str, torch.Tensor]) -> torch.Tensor:
    if item.name not in ours:
        raise ValueError(f"the model asks for {item.name}, which is no input of the program: {', '.join(ours)}")
    number, dtype = _DTYPES[item.type]
    value = given[ours[item.name]].to(dtype).contiguous()
    binding.bind_input(item.name, "cpu", 0, number, _shape(value.shape), value.data_ptr())
    return value


def _shape(shape: Sequence[int]) -> list[int]:
    return [int(size) for size in shape]


def _tensor(value: Any, kind: str) -> torch.Tensor:
    """A copy; numpy, the other way out, has no bfloat16."""
    dtype, shape = _DTYPES[kind][1], tuple(value.shape())
    size = torch.Size(shape).numel() * dtype.itemsize
    if not size:
        return torch.empty(shape, dtype=dtype)
    memory = (ctypes.c_char * size).from_address(value.data_ptr())
    return torch.frombuffer(memory, dtype=dtype).reshape(shape).clone()
