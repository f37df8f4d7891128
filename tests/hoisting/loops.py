"""A loop run twice, as the stage it was and as prologue, table and step, on the same numbers."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch.utils import _pytree

from graphlab.hoisting.levels import Level
from graphlab.hoisting.result import HoistResult
from graphlab.hoisting.runner import Call, HoistedStage
from graphlab.program import Program
from graphlab.verification.draws import Weights, constant
from graphlab.verification.inputs import in_double, program_inputs
from graphlab.verification.run import Execution, names_in
from graphlab.verification.tape import tape

CPU = torch.device("cpu")
TIMES = (981.0, 401.0, 1.0)


class Loop:
    """`program` and `result`, its split, at `sizes` ({symbol: size}); weights and inputs drawn from `seed`.

    With `double` everything runs in float64, casts inside the programs included.
    """

    def __init__(
        self,
        program: Program,
        result: HoistResult,
        sizes: Mapping[str, int] | None = None,
        *,
        double: bool = True,
        seed: int = 3,
    ) -> None:
        assert program.exported is not None
        self.program, self.result, self.double, self.seed = program, result, double, seed
        self.graph = program.graph.at(dict(sizes or program.graph.symbols))
        self.weights = Weights(program.exported, program.graph, (), seed, CPU)
        levels = dict.fromkeys(result.invariant, Level.INVARIANT) | dict.fromkeys(result.schedule, Level.SCHEDULE)
        self.levels = {node.name: levels.get(node.name, Level.STEP) for node in program.graph.inputs}

    def call(self, program: Program) -> Call:
        """`program` on the weights of this loop; results come flat."""
        item = tape(program)
        fed = {name: self.weights.get(key, double=self.double) for name, key in item.weights.items()}
        inner = {name: constant(name, value, self.seed, CPU) for name, value in item.constants.items()}
        fed |= in_double(inner) if self.double else inner

        def run(inputs: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, ...]:
            keep = names_in((item.results, item.updates))
            one = Execution(item.calls, {**fed, **inputs}, device=CPU, double=self.double, keep=keep)
            one.finish()
            return tuple(_pytree.tree_leaves(one.results(item.results)))

        return run

    def inputs(self, level: Level, seed: int) -> dict[str, torch.Tensor]:
        """Inputs of one level; masks keep a token in every row."""
        drawn = program_inputs(self.graph, self.seed + seed, CPU)
        found = {name: value for name, value in drawn.items() if self.levels[name] is level}
        return in_double(found) if self.double else found

    def errors(self) -> list[float]:
        """The largest relative error of the results at each of three timesteps."""
        invariant, first = self.inputs(Level.INVARIANT, 0), self.inputs(Level.SCHEDULE, 0)
        times = [{name: torch.full_like(value, time) for name, value in first.items()} for time in TIMES]
        stage = HoistedStage(self.result, {part: self.call(program) for part, program in self.result.programs})
        shapes = {name: tuple(value.shape) for name, value in self.inputs(Level.STEP, 0).items()}
        state, whole = stage.prepare(invariant, times, shapes), self.call(self.program)
        worst = []
        for index, time in enumerate(times):
            stepping = self.inputs(Level.STEP, index + 1)
            expected = whole({**invariant, **time, **stepping})
            found = stage.step(index, stepping, state)
            worst.append(max(_errors(expected, found)))
        return worst


def _errors(expected: tuple[torch.Tensor, ...], found: tuple[torch.Tensor, ...]) -> list[float]:
    return [_error(x, y) for x, y in zip(expected, found, strict=True)]


def _error(expected: torch.Tensor, found: torch.Tensor) -> float:
    assert expected.isfinite().all()
    assert expected.shape == found.shape
    assert expected.dtype == found.dtype
    return float((expected - found).double().norm() / expected.double().norm())
