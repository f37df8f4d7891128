"""Small modules and fake clocks shared by the tests of measuring."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

import graphlab
from graphlab.measuring.materialize import SEED, on_device, weights
from graphlab.measuring.plan import Plan, plan
from graphlab.program import Program
from graphlab.sources.arguments import example_arguments
from graphlab.workload import Stage

CPU = torch.device("cpu")


class FakeTimer:
    """A clock that advances by the next of `ticks` (seconds) at every mark after the first."""

    def __init__(self, ticks: Iterable[float]) -> None:
        self.ticks = iter(ticks)
        self.now = 0.0
        self.marks = 0
        self.finished = 0

    def mark(self) -> float:
        if self.marks:
            self.now += next(self.ticks)
        self.marks += 1
        return self.now

    def finish(self) -> None:
        self.finished += 1

    def seconds(self, start: float, end: float) -> float:
        return end - start


class Mixed(nn.Module):
    """Lists, tuples, keyword tensors, a buffer, an in-place operator, a region without gradients and a dead value."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 12)
        self.register_buffer("shift", torch.full((4,), 0.25))

    def forward(self, x: torch.Tensor, scale: float = 2.0) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        first, second, third = self.linear(x).chunk(3, dim=-1)
        with torch.no_grad():
            gate = torch.sigmoid(second) * scale
        joined = torch.cat([first + self.shift, gate, third], dim=-1)
        joined.mul_(0.5)
        view = joined.transpose(0, 1)
        return view.clone(), {"sum": torch.add(first, third, alpha=3), "kept": joined}


def captured(module: nn.Module, *args: Any, **kwargs: Any) -> Program:
    """`module` captured at its arguments' sizes."""
    return graphlab.capture(module.eval(), args, kwargs, dynamic=False)


def planned(program: Program) -> tuple[Plan, dict[str, torch.Tensor]]:
    """The Plan of `program` on the CPU and its weights."""
    assert program.exported is not None
    return plan(program.exported, program.graph, CPU), weights(program.exported, CPU)


def real_module(stage: Stage) -> nn.Module:
    """The module of `stage` on the CPU, filled as `graphlab.measuring` fills weights."""
    assert stage.build is not None
    module = stage.build()
    generator = torch.Generator().manual_seed(SEED)
    parameters = dict(module.named_parameters(remove_duplicate=False))  # to_empty parts what was tied
    buffers = dict(module.named_buffers())
    filled = {
        name: on_device(value, name, CPU, generator, parameter=name in parameters)
        for name, value in {**parameters, **buffers}.items()
    }
    module.to_empty(device="cpu")
    with torch.no_grad():
        for name, value in [*module.named_parameters(), *module.named_buffers()]:
            value.copy_(filled[name])
    return module


def real_arguments(stage: Stage, values: dict[str, int | float]) -> dict[str, Any]:
    """Arguments of `stage` on the CPU, the same every time."""
    torch.manual_seed(0)
    return example_arguments(stage, values, "cpu")
