"""A source of weights with other values in front of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from graphlab.weights.source import WeightSource


@dataclass(frozen=True, slots=True)
class OverlaidWeights:
    """The values of `held` where it has a weight of that shape, in the dtype asked for; those of `source` elsewhere."""

    source: WeightSource
    held: Mapping[str, torch.Tensor]

    @property
    def spec(self) -> str:
        """That of the source."""
        return self.source.spec

    @property
    def is_random(self) -> bool:
        """That of the source."""
        return self.source.is_random

    @property
    def notes(self) -> tuple[str, ...]:
        """Those of the source."""
        return self.source.notes

    def read(self, key: str, like: torch.Tensor) -> torch.Tensor:
        """The weight `key`; WeightsError, naming it, as the source raises it."""
        if key in self.held:
            value = self.held[key]
            if value.shape == like.shape:
                return value.to(like.dtype)
        return self.source.read(key, like)
