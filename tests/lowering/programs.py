"""Small programs, as they come to a backend: captured on the meta device, with weights beside them."""

from __future__ import annotations

import torch

from graphlab.measuring.materialize import weights
from graphlab.program import Program
from graphlab.sources.module import capture
from tests.timing.modules import tiny_program

CPU = torch.device("cpu")


class Gated(torch.nn.Module):
    """What fuse-geglu makes a fused operator of, between tied projections."""

    def __init__(self) -> None:
        super().__init__()
        self.up = torch.nn.Linear(8, 32)
        self.down = torch.nn.Linear(16, 8)
        self.again = torch.nn.Linear(16, 8)
        self.again.weight = self.down.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x (rows, 8) to (rows, 8)."""
        hidden, gate = self.up(x).chunk(2, -1)
        both = hidden * torch.nn.functional.gelu(gate)
        return self.down(both) + self.again(both)


def meta_tiny() -> tuple[Program, dict[str, torch.Tensor]]:
    """(Tiny captured on the meta device, values for its weights)."""
    program = tiny_program(device="meta")
    assert program.exported is not None
    return program, weights(program.exported, CPU)


def gated() -> tuple[Program, dict[str, torch.Tensor]]:
    """(Gated captured on the meta device, values for its weights)."""
    with torch.device("meta"):
        program = capture(Gated().eval(), (torch.empty(3, 8),), dynamic=False, name="gated")
    assert program.exported is not None
    return program, weights(program.exported, CPU)


def tiny_inputs() -> dict[str, torch.Tensor]:
    """Inputs of Tiny."""
    generator = torch.Generator().manual_seed(1)
    return {
        "sample": torch.randn(2, 4, 6, 8, generator=generator),
        "time": torch.randn(2, generator=generator),
    }
