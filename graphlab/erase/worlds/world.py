"""What a world is: attributes with their classes, and images of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import torch

from graphlab.erase.errors import EraseError

Part = Literal["train", "calibration", "held_out"]
"""Images that models and judges learn from, that thresholds are set on, and that results are compared with."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """A thing an image shows one of `classes` of; a label is a position in them."""

    name: str
    classes: tuple[str, ...]

    def label(self, name: str) -> int:
        """The label of the class `name`; EraseError for one that is not there."""
        if name not in self.classes:
            raise EraseError(f"there is no {self.name} {name!r}", hint=f"known: {', '.join(self.classes)}")
        return self.classes.index(name)


@dataclass(frozen=True, slots=True)
class Labelled:
    """`images` (images, channels, height, width) in [-1, 1], and `labels` (images, attributes) int64."""

    images: torch.Tensor
    labels: torch.Tensor


class World(Protocol):
    """Images of which every attribute is known."""

    @property
    def name(self) -> str:
        """Its name in files and commands."""
        ...

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of its images."""
        ...

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        """What images show, in the order of labels; the last is the one whose classes are concepts."""
        ...

    def sample(self, count: int, generator: torch.Generator, part: Part = "train") -> Labelled:
        """`count` images of a part, drawn with replacement by `generator` (on the CPU)."""
        ...

    def combinations(self, part: Part) -> torch.Tensor:
        """Labels (combinations, attributes) that occur in a part."""
        ...
