"""A small student of the analytic mixture, and a tiny U-Net: what training and saliency are tested on."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from graphlab.erase.objective import Objective, TermWeights
from graphlab.erase.training.config import PathConfig, TrainingConfig
from graphlab.erase.training.model import Model
from graphlab.erase.training.prompts import Prompts
from tests.erase.mixtures import EMPTY, GIVEN, cosine, exact, text

ALL = TermWeights(1.0, 1.0, 0.5, 0.5)
PROMPTS = Prompts({"given": GIVEN, "other": text(0.05, 0.3, 0.05, 0.6)}, EMPTY)


class Student(nn.Module):
    """The exact network and a small part that learns, disturbed so that every layer has a gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.exact: Any = exact().network
        self.inside = nn.Linear(2 + 1 + 4, 16, dtype=torch.float64)
        self.last = nn.Linear(16, 2, dtype=torch.float64)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))

    def forward(self, x: torch.Tensor, time: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        given = torch.cat([x.flatten(1), time[:, None].to(x) / 1000, text[:, 0]], dim=1)
        return self.exact(x, time, text) + self.last(torch.tanh(self.inside(given))).view(x.shape)


def model() -> Model:
    return Model(Student(), cosine(), network_of=lambda module: module)


def config(**changes: Any) -> TrainingConfig:
    """Eight iterations on paths of twenty steps; `path` is what changes of the paths."""
    path = {"shape": (1, 1, 2), "boundary": 0.0, "steps": 20, "batch": 4, **changes.pop("path", {})}
    made = {"objective": Objective(ALL), "iterations": 8, "rate": 1e-2, "save_every": 2, **changes}
    return TrainingConfig(path=PathConfig(**path), **made)


def half(module: nn.Module) -> dict[str, torch.Tensor]:
    """A mask of about half the entries of every parameter."""
    generator = torch.Generator().manual_seed(1)
    return {name: torch.rand(value.shape, generator=generator) < 0.5 for name, value in module.named_parameters()}


def state(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def same_bits(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Where two float tensors have the same bits: -0 is not 0, a NaN is itself."""
    kind = {8: torch.int64, 4: torch.int32}[one.element_size()]
    return one.contiguous().view(kind) == other.contiguous().view(kind)


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return set(one) == set(other) and all(bool(same_bits(one[name], other[name]).all()) for name in one)


def unet_model(seed: int = 0) -> Model:
    """A U-Net of two levels with cross-attention in one of them, random weights, for latents (1, 8, 8)."""
    from diffusers import UNet2DConditionModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet = UNet2DConditionModel(
            sample_size=8,
            in_channels=1,
            out_channels=1,
            block_out_channels=(8, 16),
            layers_per_block=1,
            norm_num_groups=4,
            cross_attention_dim=8,
            attention_head_dim=2,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        )
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            if "attn2" in name or "conv_out" in name:
                parameter.mul_(8)  # as they are drawn, a text would hardly change what is predicted
    return Model(unet, cosine())


def unet_prompts() -> Prompts:
    generator = torch.Generator().manual_seed(3)
    first, empty = torch.randn(2, 1, 3, 8, generator=generator)
    return Prompts({"concept": first}, empty)


def unet_config(**changes: Any) -> TrainingConfig:
    path = {"shape": (1, 8, 8), "steps": 4, "batch": 2, **changes.pop("path", {})}
    return config(iterations=changes.pop("iterations", 2), path=path, **changes)
