"""The prompts of a run: names of the concept, encoded, and the empty prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from graphlab.erase.errors import EraseError
from graphlab.masks import weight_hash


@dataclass(frozen=True)
class Prompts:
    """`concept` {prompt: encoding (1, tokens, width)}: what the concept is called; `empty` (1, tokens, width)."""

    concept: Mapping[str, torch.Tensor]
    empty: torch.Tensor

    def __post_init__(self) -> None:
        if not self.concept:
            raise EraseError("there is no prompt of the concept")
        if "" in self.concept:
            raise EraseError("the empty prompt is no name of the concept")
        for name, text in self.concept.items():
            if text.dim() != 3 or text.shape != self.empty.shape or len(text) != 1:
                raise EraseError(
                    f"the prompt {name!r} has shape {tuple(text.shape)} and the empty one {tuple(self.empty.shape)}, "
                    "expected both (1, tokens, width)"
                )

    def to(self, device: torch.device) -> Prompts:
        """The same on another device."""
        return Prompts({name: text.to(device) for name, text in self.concept.items()}, self.empty.to(device))

    def hashes(self) -> dict[str, str]:
        """{prompt: SHA-256 of its encoding}, the empty one as ""."""
        return {name: weight_hash(name, text) for name, text in {**self.concept, "": self.empty}.items()}
