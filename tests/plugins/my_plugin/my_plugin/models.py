"""A model: a stack of gated layers over packed tokens, run a number of times."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

from graphlab.models import Model
from graphlab.workload import Stage, TensorInput, Variable, Workload


class Layers(nn.Module):
    """x (batch, tokens, width) to the same, `depth` times."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """A residual step a layer; relu is written twice, for a rewrite to find."""
        for layer in self.layers:
            x = x + torch.relu(torch.relu(layer(x)))
        return x


def build(width: int, depth: int) -> nn.Module:
    """The module on the meta device: only shapes are needed."""
    with torch.device("meta"):
        return Layers(width, depth).eval()


def workload(width: int, depth: int) -> Workload:
    """`steps` calls over `tokens` tokens."""
    stage = Stage(
        "layers",
        "float32",
        {"x": TensorInput(("batch", "tokens", width), "float32")},
        build=partial(build, width, depth),
        steps="steps",
        identity=f"layers {width} {depth}",
    )
    variables = (
        Variable("batch", 1, "sequences"),
        Variable("tokens", 8, "tokens"),
        Variable("steps", 3, "calls of a generation", maximum=100),
    )
    return Workload("my-decoder", "my-decoder", (stage,), variables)


MODELS = (
    Model("my-decoder", "gated layers, 32 wide, 2 deep", partial(workload, 32, 2), ("mine",), "language"),
)  # fmt: skip
