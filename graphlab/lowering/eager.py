"""eager: torch's own kernels, one call after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from graphlab.hoisting.runner import eager_call
from graphlab.lowering.base import Lowered, Tensors, ordered_inputs
from graphlab.lowering.in_torch import TorchBackend
from graphlab.program import Program


@dataclass(frozen=True)
class Eager(TorchBackend):
    """torch's kernels one by one, as the program lists them; no Python code of the model runs."""

    name: ClassVar[str] = "eager"

    def lower(self, program: Program, values: Tensors) -> Lowered:
        """A plan of calls over the weights, which stay the tensors they are on the CPU."""
        self.set_threads()
        call = eager_call(program, values, self.place)

        def run(inputs: Tensors) -> tuple[torch.Tensor, ...]:
            ordered_inputs(program, inputs)  # names what is missing
            return tuple(call(inputs))

        return Lowered(run)
