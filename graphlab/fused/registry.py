"""The table of graphlab's fused operators: what each is in ATen, and in ONNX.

A fused operator is functional, has no kernel of its own and is only a name for a few ATen calls: its decomposition
is its definition, run call by call on tensors, on fake tensors, or into a graph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch

NAMESPACE = "graphlab"

Emit: TypeAlias = Callable[..., Any]
"""`emit(target, *args, **kwargs)`: calls an ATen overload or `operator.getitem`, or writes the call into a graph."""


@dataclass(frozen=True, slots=True)
class FusedOp:
    """One fused operator.

    `decompose(emit, *args, **kwargs)` takes the operator's own arguments after `emit` and returns its result: a value,
    or a tuple of them for several results. Values are whatever `emit` takes and returns (tensors, fx nodes).
    `onnx` is the operator in the standard ONNX operators of opset 18, for `torch.onnx.export`.
    """

    name: str
    decompose: Callable[..., Any]
    onnx: Callable[..., Any]


FUSED: dict[torch._ops.OpOverload, FusedOp] = {}


def define(schema: str, decompose: Callable[..., Any], onnx: Callable[..., Any]) -> torch._ops.OpOverload:
    """Registers `graphlab::` + `schema` with torch and in FUSED; ValueError when the name is taken.

    The operator runs its decomposition, on any device and on fake tensors alike. Gradients do not flow through it:
    graphlab's programs are inference, and what trains decomposes first.
    """
    name = f"{NAMESPACE}::{schema.partition('(')[0]}"
    if any(known.name == name for known in FUSED.values()):
        raise ValueError(f"fused operator {name} is defined twice")

    def run(*args: Any, **kwargs: Any) -> Any:
        return decompose(_call, *args, **kwargs)

    made = torch.library.custom_op(name, run, mutates_args=(), schema=schema[len(name) - len(NAMESPACE) - 2 :])
    made.register_fake(run)
    overload = getattr(getattr(torch.ops, NAMESPACE), name.partition("::")[2]).default
    assert isinstance(overload, torch._ops.OpOverload)
    FUSED[overload] = FusedOp(name, decompose, onnx)
    return overload


def value_of(value: Any) -> Any:
    """The tensor behind what a decomposition is given: a tensor itself, or the fake value of an fx node."""
    return value.meta["val"] if isinstance(value, torch.fx.Node) else value


def arguments(node: torch.fx.Node) -> dict[str, Any]:
    """{name in the operator's schema: argument of the call `node`}, defaults filled in."""
    assert isinstance(node.target, torch._ops.OpOverload)
    schema = node.target._schema.arguments
    found = {argument.name: argument.default_value for argument in schema if argument.has_default_value()}
    found.update(zip((argument.name for argument in schema), node.args, strict=False))
    found.update(node.kwargs)
    return found


def opset18() -> Any:
    """The ONNX operators translations are written in; imported when one is made, which most runs never do."""
    from onnxscript import opset18 as operators

    return operators


def _call(target: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return target(*args, **kwargs)


def is_registered(target: str) -> bool:
    """Whether `target` ("graphlab.geglu.default") is one of the fused operators."""
    return any(str(overload) == target for overload in FUSED)


def onnx_translations() -> Mapping[Callable[..., Any], Callable[..., Any]]:
    """{operator: its ONNX translation}: the `custom_translation_table` of `torch.onnx.export`."""
    return {overload: fused.onnx for overload, fused in FUSED.items()}
