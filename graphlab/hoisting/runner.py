"""`HoistedStage`: the three programs in the right order, whatever runs them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch

from graphlab.errors import GraphlabError
from graphlab.hoisting.result import HoistResult
from graphlab.measuring.interpret import run_once
from graphlab.measuring.materialize import has_values
from graphlab.measuring.plan import plan
from graphlab.program import Program

Tensors: TypeAlias = "Mapping[str, torch.Tensor]"
Call: TypeAlias = "Callable[[Tensors], Any]"
"""{input name: tensor} to the results of a program, nested as the program returns them."""


@dataclass(frozen=True, slots=True)
class HoistedState:
    """What the loop reads: values of the prologue, rows (steps, ...) of the table, and inputs that stay.

    `schedule` are the inputs of every timestep, for steps that read the timestep itself.
    """

    values: Mapping[str, torch.Tensor]
    rows: Mapping[str, torch.Tensor]
    schedule: tuple[Mapping[str, torch.Tensor], ...]


@dataclass(frozen=True, slots=True)
class HoistedStage:
    """`result` with a callable for each of its programs: eager, compiled, or of another runtime.

    ```
    stage = eager(result)
    state = stage.prepare({"encoder_hidden_states": text}, timesteps, shapes={"sample": latent.shape})
    for index in range(len(timesteps)):
        (noise,) = stage.step(index, {"sample": latent}, state)
    ```
    """

    result: HoistResult
    calls: Mapping[str, Call]

    def prepare(
        self,
        invariant: Tensors,
        timesteps: Sequence[torch.Tensor | Tensors] | torch.Tensor,
        shapes: Mapping[str, Sequence[int]] | None = None,
    ) -> HoistedState:
        """Runs the prologue once and the table for each of `timesteps`: a tensor a step, or {schedule input: tensor}.

        `shapes` are the sizes of stepping inputs that prologue or table read. GraphlabError for what is missing.
        """
        schedule = tuple(self._scheduled(item) for item in timesteps)
        given = {**self._blanks(shapes or {}, {*invariant, *self.result.schedule}), **invariant}
        values = dict(self._run("prologue", given, self.result.prologue_outputs))
        made = [dict(self._run("table", {**given, **values, **row}, self.result.table_outputs)) for row in schedule]
        rows = {name: torch.stack([row[name] for row in made]) for name in (made[0] if made else ())}
        return HoistedState({**invariant, **values}, rows, schedule)

    def step(self, index: int, stepping: Tensors, state: HoistedState) -> Any:
        """The results of the stage at timestep `index` (0-based) for the inputs `stepping`, as the stage nests them."""
        if not 0 <= index < len(state.schedule):
            raise GraphlabError(f"there is no timestep {index}: {len(state.schedule)} were prepared")
        rows = {name: value[index] for name, value in state.rows.items()}
        return self._call("step", {**state.values, **state.schedule[index], **rows, **stepping})

    def _scheduled(self, item: torch.Tensor | Tensors) -> Tensors:
        if not isinstance(item, torch.Tensor):
            return item
        if len(self.result.schedule) != 1:
            names = ", ".join(self.result.schedule) or "none"
            raise GraphlabError(f"a timestep of {self.result.name} is {{input: tensor}} of: {names}")
        return {self.result.schedule[0]: item}

    def _blanks(self, shapes: Mapping[str, Sequence[int]], given: Collection[str]) -> dict[str, torch.Tensor]:
        """Tensors of the stepping inputs of which only the shape is read; their elements are one zero."""
        programs = dict(self.result.programs)
        blanks: dict[str, torch.Tensor] = {}
        for part, name in self.result.shape_only:
            if part == "step" or name in given:
                continue
            if name not in shapes:
                raise GraphlabError(f"the {part} needs the shape of {name}", hint=f"pass shapes={{{name!r}: ...}}")
            dtype = getattr(torch, programs[part].graph.by_name[name].out.dtype)
            blanks[name] = torch.zeros((), dtype=dtype).expand(tuple(shapes[name]))
        return blanks

    def _run(self, part: str, inputs: Tensors, names: Sequence[str]) -> Sequence[tuple[str, torch.Tensor]]:
        return list(zip(names, self._call(part, inputs), strict=True)) if part in self.calls else []

    def _call(self, part: str, inputs: Tensors) -> Any:
        wanted = [node.name for node in dict(self.result.programs)[part].graph.inputs]
        missing = [name for name in wanted if name not in inputs]
        if missing:
            raise GraphlabError(f"the {part} of {self.result.name} needs {', '.join(missing)}")
        return self.calls[part]({name: inputs[name] for name in wanted})


def eager(result: HoistResult, weights: Tensors | None = None, device: torch.device | str = "cpu") -> HoistedStage:
    """A HoistedStage that runs operator by operator on `device`.

    `weights` are {key: tensor}, the programs' own without; GraphlabError when these have no values.
    """
    return HoistedStage(result, {part: eager_call(item, weights, device) for part, item in result.programs})


def eager_call(program: Program, weights: Tensors | None = None, device: torch.device | str = "cpu") -> Call:
    """`program` as a callable; `weights` and errors as for `eager`."""
    assert program.exported is not None
    where = torch.device(device)
    held = {**program.exported.state_dict, **program.exported.constants, **(weights or {})}
    steps = plan(program.exported, program.graph, where)
    used: dict[str, torch.Tensor] = {}
    for key in steps.weights.values():
        if not isinstance(held.get(key), torch.Tensor) or not has_values(held[key]):
            raise GraphlabError(f"weight {key} has no values", hint="load a checkpoint, or pass weights")
        used[key] = held[key].detach().to(where)

    def call(inputs: Tensors) -> Any:
        return run_once(steps, steps.slots(used, {name: value.to(where) for name, value in inputs.items()}))

    return call
