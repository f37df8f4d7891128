"""The programs of a reused stage on the same numbers, in float64: drawn inputs along a path, as a loop has them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch.utils import _pytree

from graphlab.graph import Graph
from graphlab.program import Program
from graphlab.reuse.result import ReuseResult
from graphlab.rewriting.saving import holds_weights
from graphlab.verification.draws import Weights, constant
from graphlab.verification.inputs import in_double, program_inputs
from graphlab.verification.run import Execution, names_in, wide
from graphlab.verification.tape import tape

CPU = torch.device("cpu")
Tensors = Mapping[str, torch.Tensor]


class ReusedLoop:
    """`result` at `sizes` ({symbol: size}) over `steps` steps; inputs, and weights without values, drawn from `seed`.

    Weights are the program's own where it has them and `own` is set.
    """

    def __init__(
        self,
        result: ReuseResult,
        sizes: Mapping[str, int],
        steps: int,
        *,
        seed: int = 0,
        device: torch.device = CPU,
        own: bool = False,
    ) -> None:
        program = result.program
        assert program.exported is not None
        self.result, self.steps, self.device, self.seed = result, steps, device, seed
        self.graph: Graph = program.graph.at(dict(sizes))
        self.own = own and holds_weights(program)
        self.held = {**program.exported.constants, **program.exported.state_dict}
        self.drawn = Weights(program.exported, program.graph, (), seed, device)
        self.tapes = {part: tape(item) for part, item in (("whole", program), *result.programs)}
        self.ends = tuple(in_double(program_inputs(self.graph, seed + end, device)) for end in (1, 2))

    def inputs(self, step: int) -> dict[str, torch.Tensor]:
        """The inputs at `step`: what steps turns from one draw to another, the schedule falls, the rest stays."""
        share = step / max(self.steps - 1, 1)
        angle = share * math.pi / 2
        found: dict[str, torch.Tensor] = {}
        for name, first in self.ends[0].items():
            last = self.ends[1][name]
            if name in self.result.schedule or (name in self.result.stepping and first.dim() < 2):
                high, low = torch.maximum(first, last), torch.minimum(first, last)
                value = high.double() + share * (low.double() - high.double())
                found[name] = value.to(first.dtype) if first.is_floating_point() else value.round().to(first.dtype)
            elif name in self.result.stepping and first.is_floating_point():
                found[name] = math.cos(angle) * first + math.sin(angle) * last
            else:
                found[name] = first
        return found

    def whole(self, step: int) -> tuple[torch.Tensor, ...]:
        """The results of the stage whole."""
        return self._tensors("whole", self.inputs(step))

    def refresh(self, step: int) -> tuple[tuple[torch.Tensor, ...], Tensors]:
        """(results, features) of a step that computes everything."""
        made = self._tensors("refresh", self.inputs(step))
        names = [item.name for item in self.result.kept]
        return made[: self.result.results], dict(zip(names, made[self.result.results :], strict=True))

    def reuse(self, step: int, features: Tensors) -> tuple[torch.Tensor, ...]:
        """The results of a step that takes `features`."""
        return self._tensors("reuse", {**self.inputs(step), **features})

    def _tensors(self, part: str, inputs: Tensors) -> tuple[torch.Tensor, ...]:
        item = self.tapes[part]
        fed: dict[str, Any] = {name: self._weight(key) for name, key in item.weights.items()}
        fed |= in_double({n: constant(n, value, self.seed, self.device) for n, value in item.constants.items()})
        wanted = _names(item.program)
        fed |= {name: value for name, value in inputs.items() if name in wanted}
        kept = set(names_in((item.results, item.updates)))
        one = Execution(item.calls, fed, device=self.device, double=True, keep=kept)
        one.finish()
        leaves = _pytree.tree_leaves(one.results(item.results))
        return tuple(leaf for leaf in leaves if isinstance(leaf, torch.Tensor))

    def _weight(self, key: str) -> torch.Tensor:
        if self.own:
            return wide(self.held[key].detach().to(self.device))
        return self.drawn.get(key, double=True)


def _names(program: Program) -> set[str]:
    return {node.name for node in program.graph.inputs}


def relative(made: tuple[torch.Tensor, ...], exact: tuple[torch.Tensor, ...]) -> float:
    """Root mean square of `made` - `exact` over that of `exact`, all elements of floating tensors together."""
    pairs = [(a.double(), b.double()) for a, b in zip(made, exact, strict=True) if b.is_floating_point()]
    error = sum(float((a - b).square().sum()) for a, b in pairs)
    size = sum(float(b.square().sum()) for _, b in pairs)
    return math.sqrt(error / size) if size else math.inf if error else 0.0
