"""Inputs at a program's example sizes, for compilers that want to see a call."""

from __future__ import annotations

import torch

from graphlab.measuring.materialize import inputs
from graphlab.pipeline import Facts
from graphlab.program import Program


def example_inputs(program: Program, device: torch.device) -> list[torch.Tensor]:
    """Random inputs of `program` on `device` at the sizes it was captured with, in its order."""
    graph = Facts(program.graph, dict(program.graph.symbols)).graph
    made = inputs(graph, {}, device)
    return [made[node.name] for node in program.graph.inputs]
