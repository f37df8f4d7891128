"""Values for a captured program to run on: real where the program has them, random where it has none.

Built-in models, folders and checkpoints are captured without weights. Times of dense kernels do not depend on the
values as long as these stay finite, so weights are drawn at a scale that keeps activations of the order of 1.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from graphlab.errors import GraphlabError
from graphlab.graph import Graph, TensorSpec

SEED = 0
_BIAS_STD = 0.02


def weights(program: ExportedProgram, device: torch.device, *, seed: int = SEED) -> dict[str, torch.Tensor]:
    """{state-dict key or constant name: tensor on `device`} of everything `program` reads beside its inputs.

    Tensors with values keep them; meta and fake ones are filled: parameters of two and more axes with normal values
    of standard deviation 1 / sqrt(values summed up per output), biases with small ones, everything else floating
    with 1 (norm weights, statistics, tables), integers with 0 or, for position ids, with 0, 1, 2, ... Weights that
    are one memory in the program stay one. GraphlabError for an object that is no tensor.
    """
    generator = torch.Generator(device).manual_seed(seed)
    made: dict[tuple[object, ...], torch.Tensor] = {}
    found: dict[str, torch.Tensor] = {}
    for spec in program.graph_signature.input_specs:
        if spec.kind is InputKind.USER_INPUT or spec.target is None:
            continue
        value = program.state_dict.get(spec.target, program.constants.get(spec.target))
        if not isinstance(value, torch.Tensor):
            raise GraphlabError(f"{spec.target} is a {type(value).__name__}, only programs of tensors can be run")
        place = (value.untyped_storage()._cdata, value.storage_offset(), tuple(value.shape), value.dtype)
        known = made.get(place) if value.numel() else None
        if known is None:
            known = on_device(value, spec.target, device, generator, parameter=spec.kind is InputKind.PARAMETER)
            made[place] = known
        found[spec.target] = known
    return found


def has_values(tensor: torch.Tensor) -> bool:
    """Whether `tensor` holds numbers: meta and fake tensors do not."""
    return not tensor.is_meta and not isinstance(tensor, FakeTensor)


def on_device(
    value: torch.Tensor, name: str, device: torch.device, generator: torch.Generator, *, parameter: bool
) -> torch.Tensor:
    """`value` on `device`; filled as `weights` says where it has no values."""
    with torch.no_grad():
        if has_values(value):
            return value.detach().to(device)
        empty = torch.empty_like(value, device=device).detach()
        if not (value.is_floating_point() or value.is_complex()):
            return _integers(empty, name)
        if parameter and value.dim() >= 2:
            fan_in = max(value.numel() // max(value.shape[0], 1), 1)
            return _normal(empty, fan_in**-0.5, generator)
        if parameter and name.rsplit(".", 1)[-1].endswith("bias"):
            return _normal(empty, _BIAS_STD, generator)
        return empty.fill_(1)


def _integers(empty: torch.Tensor, name: str) -> torch.Tensor:
    if name.endswith("position_ids") and empty.dim():
        return empty.copy_(torch.arange(empty.shape[-1], device=empty.device).expand_as(empty))
    return empty.zero_()


def _normal(empty: torch.Tensor, std: float, generator: torch.Generator) -> torch.Tensor:
    if empty.element_size() == 1:  # torch draws no 8-bit floats
        wide = torch.empty(empty.shape, dtype=torch.float32, device=empty.device)
        return empty.copy_(wide.normal_(0, std, generator=generator))
    return empty.normal_(0, std, generator=generator)


def inputs(
    graph: Graph, roles: Mapping[str, str], device: torch.device, *, seed: int = SEED
) -> dict[str, torch.Tensor]:
    """{input of `graph`: tensor on `device`}; `graph` has integer sizes, `roles` names what an input is for.

    Floating inputs are normal, integers 0 (a token every vocabulary has), masks 1: they keep everything.
    """
    generator = torch.Generator(device).manual_seed(seed + 1)
    return {node.name: _input(node.out, roles.get(node.name, ""), device, generator) for node in graph.inputs}


def _input(spec: TensorSpec, role: str, device: torch.device, generator: torch.Generator) -> torch.Tensor:
    empty = torch.empty(tuple(spec.shape), dtype=getattr(torch, spec.dtype), device=device)
    if role == "mask":
        return empty.fill_(1)
    if empty.is_floating_point() or empty.is_complex():
        return _normal(empty, 1.0, generator)
    return empty.zero_()
