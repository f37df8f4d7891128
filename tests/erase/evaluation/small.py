"""Tiny untrained bases, and judges whose answers are known."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from graphlab.erase.evaluation.config import EvaluationConfig
from graphlab.erase.worlds.base import Base, BaseConfig, new_base
from graphlab.erase.worlds.known import world_of
from graphlab.erase.worlds.world import World

FEW = EvaluationConfig(
    images=6,
    unseen_images=6,
    kept_images=2,
    steps=2,
    edges=(-4.0, -1.0, 3.0),
    drift_images=4,
    real_images=20,
    bootstrap=20,
)


def small_base(world: str = "digits", seed: int = 0) -> Base:
    return new_base(BaseConfig(world, "epsilon", (8, 16), heads=2), seed)


def shifted(base: Base, by: float = 0.1) -> Base:
    """The base with a bias that moves all it predicts by `by`, so drift is by^2 exactly."""
    moved = base.copy()
    last = moved.unet.conv_out
    assert isinstance(last, nn.Conv2d)
    assert last.bias is not None
    with torch.no_grad():
        last.bias.add_(by)
    return moved


@dataclass(frozen=True)
class Always:
    """A judge that says the same of every image: `label` of the concept, 0 of everything else."""

    world: World
    label: int

    @property
    def name(self) -> str:
        return f"always {self.label}"

    def labels(self, images: torch.Tensor) -> torch.Tensor:
        found = torch.zeros(len(images), len(self.world.attributes), dtype=torch.int64)
        found[:, -1] = self.label
        return found


@dataclass(frozen=True)
class Brightness:
    """A judge by the mean pixel, with features: classes 0 and 1, which changed images change."""

    world: World

    @property
    def name(self) -> str:
        return "brightness"

    def labels(self, images: torch.Tensor) -> torch.Tensor:
        found = torch.zeros(len(images), len(self.world.attributes), dtype=torch.int64)
        found[:, -1] = (images.mean((1, 2, 3)) > 0).long()
        return found

    def features(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1)[:, :16]


def always(world: str, label: int) -> Always:
    return Always(world_of(world), label)
