"""A small U-Net as a stage of a workload, and a pass that reuses what one of its modules computes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import torch
from torch import nn

from graphlab.hoisting.stage_rewrite import StageRewrite
from graphlab.program import Program
from graphlab.reuse import ReuseResult, reuse_features, reuse_features_of_stage
from graphlab.rewriter import stage_program
from graphlab.rewriting.options import option, spelled
from graphlab.workload import Stage, TensorInput, Variable, Workload

WIDTH = 4


class UNet(nn.Module):
    """sample (batch, 2, height, width), timestep (), text (batch, 3, 4) to the sample's shape, over two resolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, WIDTH, 3, padding=1)
        self.down = nn.Conv2d(WIDTH, WIDTH, 3, stride=2, padding=1)
        self.middle = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.time, self.text = nn.Linear(1, WIDTH), nn.Linear(4, WIDTH)
        self.up = nn.Upsample(scale_factor=2)
        self.last = nn.Conv2d(2 * WIDTH, 2, 3, padding=1)

    def forward(self, sample: torch.Tensor, timestep: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        x = self.first(sample) + self.time(timestep.float().reshape(1, 1) / 1000)[..., None, None]
        low = self.middle(torch.relu(self.down(x)) + self.text(text).mean(1)[..., None, None])
        made: torch.Tensor = self.last(torch.cat([x, self.up(torch.relu(low))], 1))
        return made


def build() -> nn.Module:
    """The same weights every time, with values."""
    torch.manual_seed(0)
    return UNet().eval()


def workload(**changed: Any) -> Workload:
    """10 steps of the U-Net with guidance; `changed` are fields of the stage."""
    inputs = {
        "sample": TensorInput(("batch", 2, "side", "side * 2"), "float32", role="latent"),
        "timestep": TensorInput((), "int64", role="timestep"),
        "text": TensorInput(("batch", 3, 4), "float32", role="text"),
    }
    fields: dict[str, Any] = {"build": build, "steps": "steps", "calls_per_step": 2, **changed}
    stage = Stage("unet", "float32", inputs, **fields)
    variables = (Variable("batch", 1, "images"), Variable("side", 8, "pixels"), Variable("steps", 10, "steps"))
    return Workload("small", "small.py", (stage,), variables)


@cache
def program() -> Program:
    """The U-Net captured symbolically."""
    return stage_program(workload(), "unet")


def inside(captured: Program, module: str) -> set[str]:
    """Names of the values that `module` computes."""
    return {node.name for node in captured.graph.calls if any(path == module for path, _ in node.modules)}


@dataclass(frozen=True)
class ReuseModule(StageRewrite):
    """What one module computes, taken from an earlier step."""

    name: ClassVar[str] = "reuse-module"
    exact: ClassVar[bool] = False

    every: int = option(2, "steps", minimum=1)
    module: str = option("middle", "path")

    def run(self, program: Program) -> ReuseResult:
        return reuse_features(program, inside(program, self.module), self.every, spelled(self))

    def run_stage(
        self, workload: Workload, stage: str, program: Program | None = None, *, dynamic: bool = True
    ) -> ReuseResult:
        whole = program or stage_program(workload, stage, dynamic=dynamic)
        features = inside(whole, self.module)
        return reuse_features_of_stage(workload, stage, whole, features, self.every, spelled(self))


def made(every: int = 3, module: str = "middle") -> ReuseResult:
    """The U-Net that reuses `module`."""
    return ReuseModule(every, module).run_stage(workload(), "unet", program())
