"""What is evaluated: anything that draws images of prompts from seeds, and predicts noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from graphlab.erase.denoiser import Denoiser
from graphlab.erase.errors import EraseError
from graphlab.erase.images import Sampling, draw
from graphlab.erase.worlds.base import Base
from graphlab.erase.worlds.prompts import EMPTY


class Subject(Protocol):
    """A model, or a model with a way to sample from it: some methods change no weight."""

    @property
    def denoiser(self) -> Denoiser:
        """The network whose drift is measured, at levels of the base's schedule."""
        ...

    def draw(self, prompts: Sequence[str], seeds: Sequence[int], sampling: Sampling) -> torch.Tensor:
        """Images (seeds, channels, height, width), one of each prompt and seed."""
        ...


@dataclass(frozen=True)
class BaseSubject:
    """A base as it is, or, with `avoided`, by negative prompting: guidance leads away from those prompts instead of
    from the empty one, whatever is asked for.

    With one prompt avoided this is what pipelines call a negative prompt. Of several the mean of their encodings
    (tokens, width) is avoided, so that a step costs what it did.
    """

    base: Base
    avoided: tuple[str, ...] = ()

    @property
    def denoiser(self) -> Denoiser:
        """The base's own: negative prompting moves no prediction."""
        return self.base.denoiser()

    @torch.no_grad()
    def draw(self, prompts: Sequence[str], seeds: Sequence[int], sampling: Sampling) -> torch.Tensor:
        """Images of `prompts`, by the base's encoder. EraseError for another number of prompts than of seeds."""
        if len(prompts) != len(seeds):
            raise EraseError(f"{len(prompts)} prompts for {len(seeds)} seeds")
        known = list(dict.fromkeys(prompts))
        rows = torch.tensor([known.index(prompt) for prompt in prompts])
        text = self.base.encode(known)[rows]
        away = self.base.encode(list(self.avoided or (EMPTY,))).mean(0, keepdim=True)
        return draw(self.base.denoiser(), text, away, seeds, sampling)


def subject_of(model: Base | Subject) -> Subject:
    """A base as a subject, or the subject itself."""
    return BaseSubject(model) if isinstance(model, Base) else model
