"""Example arguments of a stage: tensors of the sizes its inputs have under a set of values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from graphlab.symbolic import evaluate_text
from graphlab.workload import Argument, Stage, TensorInput

if TYPE_CHECKING:
    import torch


def example_arguments(stage: Stage, values: Mapping[str, int | float], device: str = "meta") -> dict[str, Any]:
    """{parameter of forward: argument} for `stage` under `values`; tensors are random, integers are zeros."""
    return {name: _example(argument, values, device) for name, argument in stage.inputs.items()}


def _example(argument: Argument, values: Mapping[str, int | float], device: str) -> Any:
    if isinstance(argument, TensorInput):
        return _tensor(argument, values, device)
    if isinstance(argument, Mapping):
        return {key: _example(value, values, device) for key, value in argument.items()}
    if isinstance(argument, tuple):
        return tuple(_example(value, values, device) for value in argument)
    return argument


def _tensor(spec: TensorInput, values: Mapping[str, int | float], device: str) -> torch.Tensor:
    import torch

    shape = [evaluate_text(size, values) for size in spec.shape]
    dtype: torch.dtype = getattr(torch, spec.dtype)
    if device == "meta":
        return torch.empty(shape, dtype=dtype, device=device)
    if dtype.is_floating_point:
        return torch.randn(shape, dtype=dtype, device=device)
    return torch.zeros(shape, dtype=dtype, device=device)
