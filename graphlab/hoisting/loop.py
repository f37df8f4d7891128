"""A loop run twice, as the stage it was and as prologue, table and step, on the same drawn numbers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils import _pytree

from graphlab.errors import GraphlabError
from graphlab.hoisting.levels import Level
from graphlab.hoisting.result import HoistResult
from graphlab.hoisting.runner import Call, HoistedStage, HoistedState
from graphlab.program import Program
from graphlab.verification.draws import Weights, constant
from graphlab.verification.inputs import in_double, program_inputs
from graphlab.verification.run import Execution, names_in
from graphlab.verification.tape import Tape, tape

CPU = torch.device("cpu")
TIMESTEPS = 3
_DRAWS = 16


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A value of the loop: the part that makes it, its node name or "result 0"."""

    part: str
    name: str


class SplitFailed(GraphlabError):
    """A part that fails on values the whole program runs on."""

    def __init__(self, part: str, error: GraphlabError) -> None:
        super().__init__(error.message)
        self.part = part


class Loop:
    """`program` and `result`, its split, at `sizes` ({symbol: size}); weights and inputs drawn from `seed`.

    With `double` everything runs in float64, casts inside the programs included. With `rows` masks are empty in the
    first entry of the batch and full in the last. `weights` are those of another loop of the same seed.
    """

    def __init__(
        self,
        program: Program,
        result: HoistResult,
        sizes: Mapping[str, int] | None = None,
        *,
        double: bool = True,
        seed: int = 3,
        device: torch.device = CPU,
        rows: bool = False,
        weights: Weights | None = None,
    ) -> None:
        assert program.exported is not None
        self.program, self.result, self.double, self.seed = program, result, double, seed
        self.device, self.rows = device, rows
        self.graph = program.graph.at(dict(sizes or program.graph.symbols))
        self.weights = weights or Weights(program.exported, program.graph, (), seed, device)
        levels = dict.fromkeys(result.invariant, Level.INVARIANT) | dict.fromkeys(result.schedule, Level.SCHEDULE)
        self.levels = {node.name: levels.get(node.name, Level.STEP) for node in program.graph.inputs}

    def inputs(self, level: Level, draw: int) -> dict[str, torch.Tensor]:
        """Inputs of one level; masks keep a token in every row unless `rows`."""
        drawn = program_inputs(self.graph, self.seed + draw, self.device, rows=self.rows)
        found = {name: value for name, value in drawn.items() if self.levels[name] is level}
        return in_double(found) if self.double else found

    def schedule(self) -> list[dict[str, torch.Tensor]]:
        """TIMESTEPS values of the schedule inputs, different ones where those inputs have so many."""
        found: list[dict[str, torch.Tensor]] = []
        draws = [self.inputs(Level.SCHEDULE, draw) for draw in range(_DRAWS if self.result.schedule else 1)]
        for item in draws:
            if len(found) < TIMESTEPS and not any(_same(item, other) for other in found):
                found.append(item)
        return [*found, *draws][:TIMESTEPS] if self.result.schedule else draws * TIMESTEPS

    def steps(self) -> Iterator[dict[Place, tuple[Any, Any]]]:
        """{value: (that of the whole program, that of the split)} of every timestep.

        Results count as made by the step. Values that cross between parts are there where the whole program has them:
        projections of repeated rows it has not. RunError where the whole program fails, SplitFailed where a part does.
        """
        invariant, times = self.inputs(Level.INVARIANT, 0), self.schedule()
        stepping = [self.inputs(Level.STEP, index + 1) for index in range(len(times))]
        whole = [self._whole({**invariant, **time, **item}) for time, item in zip(times, stepping, strict=True)]
        stage = HoistedStage(self.result, {part: self._part(part, item) for part, item in self.result.programs})
        shapes = {name: tuple(value.shape) for name, value in stepping[0].items()}
        state = _guarded("prologue or table", stage.prepare, invariant, times, shapes)
        for index, expected in enumerate(whole):
            made = _guarded("step", stage.step, index, stepping[index], state)
            found = {**self._crossing(index, state), **_results(made)}
            yield {place: (value, found.get(place)) for place, value in expected.items()}

    def _crossing(self, index: int, state: HoistedState) -> dict[Place, Any]:
        once = {Place("prologue", name): state.values[name] for name in self.result.prologue_outputs}
        rows = {Place("table", name): state.rows[name][index] for name in self.result.table_outputs}
        return {**once, **rows}

    def _whole(self, inputs: Mapping[str, torch.Tensor]) -> dict[Place, Any]:
        """Results of the whole program, and what crosses between the parts of the split."""
        item = tape(self.program)
        outputs = (("prologue", self.result.prologue_outputs), ("table", self.result.table_outputs))
        crossing = [Place(part, name) for part, names in outputs for name in names]
        one = self._run(item, inputs, [place.name for place in crossing])
        there = {place: one.values[place.name] for place in crossing if place.name in one.values}
        return {**there, **_results(one.results(item.results))}

    def _part(self, part: str, program: Program) -> Call:
        """`program` on the weights of this loop; results come flat."""
        item = tape(program)

        def run(inputs: Mapping[str, torch.Tensor]) -> tuple[Any, ...]:
            given = {name: value.to(self.device) for name, value in inputs.items()}
            one = _guarded(part, self._run, item, in_double(given) if self.double else given, ())
            return tuple(_pytree.tree_leaves(one.results(item.results)))

        return run

    def _run(self, item: Tape, inputs: Mapping[str, torch.Tensor], keep: Collection[str]) -> Execution:
        fed = {name: self.weights.get(key, double=self.double) for name, key in item.weights.items()}
        inner = {name: constant(name, value, self.seed, self.device) for name, value in item.constants.items()}
        fed |= in_double(inner) if self.double else inner
        kept = {*names_in((item.results, item.updates)), *keep}
        one = Execution(item.calls, {**fed, **inputs}, device=self.device, double=self.double, keep=kept)
        one.finish()
        return one


def _same(a: Mapping[str, torch.Tensor], b: Mapping[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, b[name]) for name, value in a.items())


def _results(values: Any) -> dict[Place, Any]:
    return {Place("step", f"result {index}"): value for index, value in enumerate(_pytree.tree_leaves(values))}


def _guarded(part: str, function: Callable[..., Any], *args: Any) -> Any:
    """`function(*args)`; what fails in it is said to be `part`'s, unless it says so itself."""
    try:
        return function(*args)
    except SplitFailed:
        raise
    except (GraphlabError, ValueError, KeyError) as error:  # a part with other results or inputs than it should have
        known = error if isinstance(error, GraphlabError) else GraphlabError(f"{type(error).__name__}: {error}")
        raise SplitFailed(part, known) from error
