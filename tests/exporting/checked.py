"""Small programs exported and checked."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from graphlab.exporting.checking import child
from graphlab.exporting.saving import save_model
from graphlab.exporting.targets import target_named
from graphlab.exporting.translate import Lowered, to_onnx
from graphlab.program import Program
from graphlab.sources.module import capture
from graphlab.weights.own import HeldWeights
from graphlab.weights.values import Values


class Block(nn.Module):
    """x (batch, tokens, 16): a norm, two linear layers with softmax between, the sum with x."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(16)
        self.first, self.second = nn.Linear(16, 16), nn.Linear(16, 16)
        self.scale = scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.first(self.norm(x)) * self.scale
        return x + self.second(torch.softmax(hidden * hidden, -1))


@dataclass(frozen=True)
class Exported:
    """A program, its model's path and what was written."""

    program: Program
    lowered: Lowered
    source: HeldWeights
    path: Path


def exported(folder: Path, module: nn.Module | None = None, *, dynamic: bool = True) -> Exported:
    torch.manual_seed(0)
    made = (module or Block()).eval().requires_grad_(False)
    x = torch.randn(2, 5, 16)
    program = capture(made, (x,), dynamic=dynamic, name="block")
    lowered = to_onnx(program, target_named("ort-cpu"))
    source = HeldWeights(dict, "block")
    path = folder / "block.onnx"
    save_model(lowered, Values(lowered.program, source, lowered.new_tensors, program), path)
    return Exported(program, lowered, source, path)


def in_this_process(patch: pytest.MonkeyPatch) -> None:
    """Jobs are done here and not in children, which take seconds to start; tests/exporting/test_check.py has these.

    Other processes run: kernels are asked for in one where no test before has.
    """
    real = subprocess.run

    def run(command: list[str], **how: Any) -> Any:
        if command[1:3] != ["-m", "graphlab.exporting.checking.child"]:
            return real(command, **how)
        child.main(Path(command[3]))
        return subprocess.CompletedProcess(command, 0, b"", b"")

    patch.setattr(subprocess, "run", run)
