"""Numbers for the inputs of a program, and for values that a region of it starts from."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from graphlab.graph import Graph, TensorSpec
from graphlab.verification.draws import between, generator, integers, mask, normal
from graphlab.verification.sources import index_range

_POSITIVE = ("exp", "softmax", "_softmax", "sigmoid", "abs", "var", "sqrt", "rsqrt", "square", "softplus", "cumprod")


def program_inputs(graph: Graph, seed: int, device: torch.device, *, rows: bool = False) -> dict[str, torch.Tensor]:
    """{input of `graph`: tensor in its dtype}; `graph` has integer sizes.

    Floats are normal; those called after time lie between 1 and 999, other scalars and vectors between 0.5 and 1.5.
    Integers lie within the tables they index. Booleans and whatever is called a mask are mixed (`rows`: see `mask`).
    """
    return {node.name: _input(graph, node.name, node.out, seed, device, rows) for node in graph.inputs}


def _input(graph: Graph, name: str, spec: TensorSpec, seed: int, device: torch.device, rows: bool) -> torch.Tensor:
    dtype = dtype_of(spec)
    source = generator(seed, name, device)
    shape = tuple(spec.shape)
    is_mask, is_time = "mask" in name.lower(), "time" in name.lower()
    if is_mask or dtype is torch.bool:
        return mask(shape, source, rows=rows).to(dtype)
    if dtype.is_complex:
        return torch.complex(normal(shape, 1.0, source), normal(shape, 1.0, source)).to(dtype)
    if dtype.is_floating_point:
        if is_time:
            return between(shape, 1.0, 999.0, source).to(dtype)
        return (normal(shape, 1.0, source) if len(shape) > 1 else between(shape, 0.5, 1.5, source)).to(dtype)
    low, high = index_range(graph, name) or ((1, 1000) if is_time else (0, 16))
    return integers(shape, low, high, dtype, source)


def has_masks(graph: Graph) -> bool:
    """Whether any input is drawn as a mask."""
    return any("mask" in node.name.lower() or node.out.dtype == "bool" for node in graph.inputs)


def inner_value(graph: Graph, name: str, spec: TensorSpec, seed: int, label: str, device: torch.device) -> torch.Tensor:
    """A tensor for the value `name` inside a program; `label` names the random numbers.

    Results of exponentials, softmax and other operators that are never negative are drawn between 0.1 and 1.
    """
    dtype, shape, source = dtype_of(spec), tuple(spec.shape), generator(seed, label, device)
    if dtype is torch.bool:
        return mask(shape, source)
    if dtype.is_complex:
        return torch.complex(normal(shape, 1.0, source), normal(shape, 1.0, source)).to(dtype)
    if not dtype.is_floating_point:
        low, high = index_range(graph, name) or (0, 16)
        return integers(shape, low, high, dtype, source)
    node = graph.by_name.get(name)
    parts = node.target.split(".") if node is not None else []
    if len(parts) > 1 and parts[1] in _POSITIVE:
        return between(shape, 0.1, 1.0, source).to(dtype)
    return normal(shape, 1.0, source).to(dtype)


def dtype_of(spec: TensorSpec) -> torch.dtype:
    """torch's dtype of `spec`."""
    found: torch.dtype = getattr(torch, spec.dtype)
    return found


def in_double(values: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """`values` with floating tensors in float64."""
    from graphlab.verification.run import wide

    return {name: wide(value) for name, value in values.items()}
