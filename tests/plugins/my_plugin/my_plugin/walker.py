"""walker: a backend that runs a program with torch.fx's interpreter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from graphlab.lowering.base import Backend, Lowered, Tensors, ordered_inputs
from graphlab.lowering.flat import flat_module
from graphlab.program import Program
from graphlab.rewriting.options import option


@dataclass(frozen=True)
class Walker(Backend):
    """torch.fx's interpreter, node by node: slow, and a check of the others."""

    name: ClassVar[str] = "walker"

    checked: bool = option(False, "look for NaN in every result")

    def unavailable(self) -> str | None:
        """It runs wherever torch does."""
        return None

    def lower(self, program: Program, values: Tensors) -> Lowered:
        """An interpreter over the program's own graph, its weights read once."""
        interpreter = torch.fx.Interpreter(flat_module(program, values, self.place))

        def call(tensors: Tensors) -> tuple[torch.Tensor, ...]:
            with torch.no_grad():
                results: tuple[torch.Tensor, ...] = interpreter.run(*ordered_inputs(program, tensors))
            if self.checked and any(bool(value.isnan().any()) for value in results):
                raise FloatingPointError("a result is not a number")
            return results

        return Lowered(call)
