"""What both checks of rewrites do with programs: capture, hold weights, save and load, compare texts."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import torch

from graphlab.program import Program
from graphlab.sources.module import capture
from graphlab.testing.failure import CheckFailed, running
from graphlab.testing.text import difference, normal

Args = tuple[Any, ...]


def captured(
    module: torch.nn.Module, args: Args, kwargs: Mapping[str, Any] | None = None, *, symbolic: bool
) -> Program:
    """The program of `module`; CheckFailed when it cannot be captured, or has no size that may be another."""
    dynamic = "auto" if symbolic else False
    with running("the call", "the module cannot be captured"):
        program = capture(module.eval().requires_grad_(False), args, kwargs, dynamic=dynamic, name="test")
    if symbolic and not program.graph.symbols:
        raise CheckFailed("the call", f"no size of the module can be another: {'; '.join(program.notes)}")
    return program


def weights_of(program: Program) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """{key: (the tensor itself, a copy of it)} of everything a program holds."""
    assert program.exported is not None
    held = {**program.exported.constants, **program.exported.state_dict}
    tensors = {key: value for key, value in held.items() if isinstance(value, torch.Tensor) and not value.is_meta}
    return {key: (value, value.detach().clone()) for key, value in tensors.items()}


def check_weights(weights: Mapping[str, tuple[torch.Tensor, torch.Tensor]]) -> None:
    """CheckFailed when one of `weights_of` is no longer what it was."""
    for key, (tensor, copy) in weights.items():
        if not torch.equal(tensor.nan_to_num(), copy.nan_to_num()):
            raise CheckFailed("fires", f"the weight {key} was written into", hint="weights are shared: make new ones")


def check_text(what: str, expected: str, found: str) -> None:
    """CheckFailed, with the lines that differ, when `what` is not as expected."""
    if normal(expected) != normal(found):
        shown = difference(normal(expected), normal(found))
        raise CheckFailed("fires", f"{what} is another one (- expected, + found):\n{shown}\n")


def saved_and_loaded(program: Program) -> Program:
    """`program` as a `.pt2` brings it back."""
    assert program.exported is not None
    with running("same numbers", f"{program.name} cannot be saved and loaded"):
        buffer = io.BytesIO()
        torch.export.save(program.exported, buffer)
        buffer.seek(0)
        return Program(program.name, program.graph, torch.export.load(buffer))


def run_program(program: Program, args: Args, kwargs: Mapping[str, Any] | None = None) -> Any:
    """The results of `program`."""
    assert program.exported is not None
    return program.exported.module(check_guards=False)(*args, **(kwargs or {}))
