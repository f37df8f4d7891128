"""inductor: torch.compile, with weights frozen into the compiled code."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from graphlab.lowering.base import Lowered, Tensors, ordered_inputs
from graphlab.lowering.example import example_inputs
from graphlab.lowering.flat import flat_module
from graphlab.lowering.in_torch import TorchBackend
from graphlab.program import Program
from graphlab.rewriting.options import option


@dataclass(frozen=True)
class Inductor(TorchBackend):
    """torch.compile: kernels fused and written for this machine, weights frozen into them."""

    name: ClassVar[str] = "inductor"

    freezing: bool = option(True, "weights are constants: packed and folded when compiling")
    autotune: bool = option(False, "time several kernels for each product and keep the fastest (max-autotune)")

    def lower(self, program: Program, values: Tensors) -> Lowered:
        """Compiles at the program's example sizes, so that the first call of the user does not."""
        self.set_threads()
        dynamic = bool(program.graph.symbols)
        module = flat_module(program, values, self.place)
        with self._settings():
            compiled = torch.compile(module, fullgraph=True, dynamic=dynamic, mode=self._mode())
            compiled(*example_inputs(program, self.place))

        def call(inputs: Tensors) -> Any:
            given = [value.to(self.place) for value in ordered_inputs(program, inputs)]
            with self._settings() if dynamic else torch.no_grad():  # sizes of 1 are compiled once more, frozen too
                return tuple(compiled(*given))

        return Lowered(call, ("compiled with symbolic sizes",) if dynamic else ())

    def _mode(self) -> str | None:
        return "max-autotune-no-cudagraphs" if self.autotune else None

    @contextmanager
    def _settings(self) -> Iterator[None]:
        """Freezing only happens where no gradients are wanted; torch's warnings are about its own internals."""
        import torch._inductor.config as config

        with torch.no_grad(), config.patch(freezing=self.freezing), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
