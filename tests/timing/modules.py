"""Small programs to run in other processes, and a backend of somebody's that is broken on purpose."""

from __future__ import annotations

from pathlib import Path

import torch

from graphlab.program import Program
from graphlab.sources.module import capture

PLUGIN = '''
from dataclasses import dataclass
from typing import ClassVar

import torch

from graphlab.hoisting.runner import eager_call
from graphlab.lowering.base import Backend, Lowered
from graphlab.rewriting.options import option


@dataclass(frozen=True)
class Broken(Backend):
    """Computes something else, or not at all."""

    name: ClassVar[str] = "broken"

    how: str = option("wrong", "what it does", choices=("wrong", "raise", "exit", "sleep"))

    def unavailable(self):
        return None

    def lower(self, program, values):
        import os, time

        if self.how == "raise":
            raise RuntimeError("no kernel for this")
        if self.how == "exit":
            print("something on standard output")
            os._exit(7)
        if self.how == "sleep":
            time.sleep(600)
        call = eager_call(program, values)
        print("libraries print while they compile")
        return Lowered(lambda inputs: tuple(value + 1 for value in call(inputs)))
'''


class Tiny(torch.nn.Module):
    """A convolution, a norm and attention over its positions; two results."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(4, 16, 3, padding=1)
        self.norm = torch.nn.GroupNorm(4, 16)
        self.qkv = torch.nn.Linear(16, 48)

    def forward(self, sample: torch.Tensor, time: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """sample (batch, 4, h, w), time (batch,) to (batch, h w, 16) and (batch, 16, h, w)."""
        hidden = torch.nn.functional.silu(self.norm(self.conv(sample)))
        tokens = hidden.flatten(2).transpose(1, 2) + time[:, None, None] + torch.arange(16, device=sample.device)
        q, k, v = self.qkv(tokens).unflatten(-1, (3, 2, 8)).permute(2, 0, 3, 1, 4)
        return torch.nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2), hidden


def tiny_program(*, dynamic: bool = False, device: str = "cpu") -> Program:
    """Tiny captured with a batch of 2 and 6 x 8 positions."""
    torch.manual_seed(0)
    with torch.device(device):
        module = Tiny().eval()
        inputs = (torch.randn(2, 4, 6, 8), torch.randn(2))
    return capture(module, inputs, dynamic="auto" if dynamic else False, name="tiny")


def install_plugin(folder: Path) -> None:
    """A distribution in `folder` whose entry point brings the backend `broken`."""
    (folder / "broken_backend.py").write_text(PLUGIN)
    info = folder / "broken_backend-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-backend\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[graphlab.backends]\nbroken = broken_backend\n")
