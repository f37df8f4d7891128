"""Captures of small modules, what is in them, and what they compute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from graphlab.costing import node_costs
from graphlab.graph import Graph
from graphlab.passes.analysis.axes import AxesAnalysis
from graphlab.passes_base import AnalysisInput
from graphlab.program import Program
from graphlab.rewriting.result import RewriteResult
from graphlab.rewriting.rewrite import Rewrite
from graphlab.sources.module import capture

DTYPES = (torch.float64, torch.float32, torch.bfloat16)


class Function(nn.Module):
    """A module of `call`; its layers are attributes of the module that `call` gets first."""

    def __init__(self, call: Callable[..., Any], **layers: nn.Module) -> None:
        super().__init__()
        self.call = call
        for name, layer in layers.items():
            setattr(self, name, layer)
        generator = torch.Generator().manual_seed(0)
        for parameter in self.parameters():  # away from the ones and zeros that hide a lost weight
            nn.init.normal_(parameter, generator=generator)

    def forward(self, *args: torch.Tensor) -> Any:
        return self.call(self, *args)


def captured(module: nn.Module, *args: torch.Tensor, dynamic: bool = True) -> Program:
    """`module` called with `args`, every axis symbolic where it can be."""
    return capture(module.eval().requires_grad_(False), args, dynamic="auto" if dynamic else False)


def ops(program: Program) -> list[str]:
    """The operators of `program` in order, without reads of sizes and of single results."""
    return [node.target for node in program.graph.calls if node.target != "getitem"]


def reasons(result: RewriteResult) -> list[str]:
    """Why candidates stayed."""
    return [skip.why for skip in result.skips]


def run(program: Program, *args: torch.Tensor) -> Any:
    """What `program` computes."""
    assert program.exported is not None
    with torch.no_grad():
        return program.exported.module(check_guards=False)(*args)


def check(rewrite: Rewrite, module: nn.Module, *args: torch.Tensor, others: tuple[torch.Tensor, ...] = ()) -> Program:
    """`module` after `rewrite`, which must change it, keep its numbers (at `others` too) and then find nothing more."""
    program = captured(module, *args)
    result = rewrite.run(program)
    assert result.modified
    assert not rewrite.run(result.program).modified
    for given in (args, others) if others else (args,):
        torch.testing.assert_close(run(result.program, *given), module(*given), rtol=0, atol=0)
    return result.program


def stays(rewrite: Rewrite, module: nn.Module, *args: torch.Tensor) -> list[str]:
    """Why `rewrite` leaves `module` as it is, which it must."""
    program = captured(module, *args)
    result = rewrite.run(program)
    assert not result.modified
    assert ops(result.program) == ops(program)
    return reasons(result)


def work(graph: Graph) -> tuple[int, int, int]:
    """(contraction FLOP, pointwise FLOP, bytes) of `graph` at the sizes of its example; every op has a rule."""
    costs = node_costs(graph.at(graph.symbols)).values()
    assert all(cost.flops is not None for cost in costs)
    return sum(c.flops for c in costs), sum(c.pointwise_flops for c in costs), sum(c.bytes for c in costs)


def result_axes(graph: Graph) -> list[Any]:
    """The lineage of every axis of the results of `graph`."""
    example = graph.at(graph.symbols)
    facts = AxesAnalysis().run(AnalysisInput(graph, example, example, _no_other))
    return [facts.axes[name][0] for name in graph.results]


def _no_other(name: str) -> Any:
    """The axes of a graph depend on no other analysis."""
    raise AssertionError(f"axes asked for {name}")
