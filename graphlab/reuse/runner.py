"""`ReusedStage`: the two programs in turn, whatever runs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from graphlab.errors import GraphlabError
from graphlab.hoisting.runner import Call, Tensors, eager_call
from graphlab.reuse.result import ReuseResult


@dataclass(frozen=True, slots=True)
class ReusedStage:
    """`result` with a callable for each of its programs: eager, compiled, or of another runtime.

    ```
    stage, features = eager(result), None
    for index, time in enumerate(timesteps):
        (noise,), features = stage.step(index, {"sample": latent, "timestep": time, ...}, features)
    ```
    Calls of one step that are made one after another each have features of their own.
    """

    result: ReuseResult
    calls: Mapping[str, Call]

    def step(
        self, index: int, inputs: Tensors, features: Tensors | None = None
    ) -> tuple[tuple[torch.Tensor, ...], Tensors]:
        """(results of the stage, features for the next step) at step `index` (0-based) for the stage's `inputs`.

        GraphlabError where an input is missing, or the features of the step before.
        """
        if self.result.refreshes(index):
            made = self._call("refresh", inputs)
            names = [item.name for item in self.result.kept]
            count = self.result.results
            return made[:count], dict(zip(names, made[count:], strict=True))
        if features is None:
            raise GraphlabError(f"step {index} of {self.result.name} takes the features of the step before it")
        return self._call("reuse", {**inputs, **features}), features

    def _call(self, part: str, inputs: Tensors) -> tuple[torch.Tensor, ...]:
        wanted = [node.name for node in dict(self.result.programs)[part].graph.inputs]
        missing = [name for name in wanted if name not in inputs]
        if missing:
            raise GraphlabError(f"the {part} step of {self.result.name} needs {', '.join(missing)}")
        return tuple(self.calls[part]({name: inputs[name] for name in wanted}))


def eager(result: ReuseResult, weights: Tensors | None = None, device: torch.device | str = "cpu") -> ReusedStage:
    """A ReusedStage that runs operator by operator on `device`.

    `weights` are {key: tensor}, the programs' own without; GraphlabError when these have no values, and for a result
    without parts.
    """
    if not result.modified:
        raise GraphlabError(f"nothing of {result.name} is reused: {result.reason}", hint="run the program itself")
    return ReusedStage(result, {part: eager_call(item, weights, device) for part, item in result.programs})
