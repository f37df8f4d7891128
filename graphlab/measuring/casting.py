"""A stage in another dtype than its own: weights and inputs cast, everything else as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch

from graphlab.errors import GraphlabError
from graphlab.workload import Argument, Stage, TensorInput


def in_dtype(stage: Stage, dtype: str | None) -> Stage:
    """`stage` with the weights and inputs of its dtype in `dtype`; the stage itself for None or its own.

    Weights a model keeps in another dtype (norms in float32 beside float16) stay. GraphlabError for a stage that was
    captured already: its casts are written into the program.
    """
    if dtype is None or dtype == stage.dtype:
        return stage
    if stage.build is None:
        raise GraphlabError(
            f"{stage.name} is a captured program in {stage.dtype}, it cannot be run in {dtype}",
            hint="export it again in that dtype, or leave --dtype out",
        )
    build, old = stage.build, stage.dtype

    def cast() -> torch.nn.Module:
        module = build()
        _cast(module, getattr(torch, old), getattr(torch, dtype))
        return module

    inputs = {name: _argument(argument, old, dtype) for name, argument in stage.inputs.items()}
    return replace(stage, dtype=dtype, build=cast, inputs=inputs, identity="")


def _cast(module: torch.nn.Module, old: torch.dtype, new: torch.dtype) -> None:
    """Not `module.to(new)`: models warn about the weights they keep in float32."""
    for parameter in module.parameters():
        if parameter.dtype == old:
            parameter.data = parameter.data.to(new)
    for child in module.modules():
        for name, buffer in child.named_buffers(recurse=False):
            if buffer.dtype == old:
                child._buffers[name] = buffer.to(new)


def _argument(argument: Argument, old: str, new: str) -> Argument:
    if isinstance(argument, TensorInput):
        return replace(argument, dtype=new) if argument.dtype == old else argument
    if isinstance(argument, Mapping):
        return {key: _argument(value, old, new) for key, value in argument.items()}
    if isinstance(argument, tuple):
        return tuple(_argument(value, old, new) for value in argument)
    return argument
