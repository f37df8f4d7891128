"""What a model is compared with: the program in float32, and its weights as the model has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from graphlab.exporting.checking.tensors import write_tensors
from graphlab.exporting.retype import HALVES, main_dtype, retyped
from graphlab.program import Program
from graphlab.rewriting.bare import save_bare
from graphlab.rewriting.functional import functional
from graphlab.rewriting.new_tensor import NewTensor
from graphlab.verification.tape import Tape, tape
from graphlab.weights.casting import cast
from graphlab.weights.source import WeightSource
from graphlab.weights.values import Values

WEIGHTS_FILE, PROGRAM_FILE = "weights", "reference.pt2"


@dataclass(frozen=True, slots=True)
class Reference:
    """`program` is run in place of `given`: in float32 where that is half precision.

    `rounded` is the half precision that weights and inputs are rounded to first, None where they stay. `model_dtype`
    is that of the model, `said` the reference in words.
    """

    given: Program
    program: Program
    tape: Tape
    model_dtype: str
    rounded: str | None
    said: str

    @property
    def weight_bytes(self) -> int:
        """Bytes of the weights the program reads."""
        return sum(int(node.out.nbytes) for node in self.program.graph.weights)

    def values(
        self, source: WeightSource, new_tensors: Sequence[NewTensor] = (), base: Program | None = None
    ) -> Iterator[tuple[str, torch.Tensor]]:
        """(key, value) of every weight the program reads, as it takes it; one at a time."""
        values = Values(self.given, source, new_tensors, base)
        wanted = _dtypes(self.program)
        main = getattr(torch, main_dtype(self.given))
        for key in dict.fromkeys(self.tape.weights.values()):
            value = values[key]
            if self.rounded is not None and value.dtype == main:
                value = cast(value, getattr(torch, self.rounded), key)
            yield key, value.to(wanted[key])

    def lay_down(
        self, folder: Path, source: WeightSource, new_tensors: Sequence[NewTensor] = (), base: Program | None = None
    ) -> None:
        """Writes into `folder` what the child that runs it reads: its weights and its program without them."""
        write_tensors(folder / WEIGHTS_FILE, self.values(source, new_tensors, base))
        assert self.program.exported is not None
        inlined = functional(self.program.exported)  # regions that only switch gradients are no operators
        save_bare(Program(self.program.name, self.program.graph, inlined), folder / PROGRAM_FILE)


def laid_down(folder: Path) -> dict[str, str]:
    """What a child is told of the files `Reference.lay_down` wrote into `folder`."""
    return {"program": str(folder / PROGRAM_FILE), "weights": str(folder / WEIGHTS_FILE)}


def reference_of(program: Program, dtype: str | None = None) -> Reference:
    """The Reference for a model of `program` in `dtype`, None for the program's own."""
    own = main_dtype(program)
    model = dtype or own
    halves = {str(half).removeprefix("torch.") for half in HALVES}
    wide = retyped(program, torch.float32) if own in halves else program
    rounded = model if model in halves else None
    said = "PyTorch in float32" + (f", weights and inputs rounded to {rounded}" if rounded else "")
    if own == "float64" and rounded is None:
        said = "PyTorch in float64"
    return Reference(program, wide, tape(wide), model, rounded, said)


def _dtypes(program: Program) -> dict[str, torch.dtype]:
    assert program.exported is not None
    held = {**program.exported.state_dict, **program.exported.constants}
    return {key: value.dtype for key, value in held.items() if isinstance(value, torch.Tensor)}
