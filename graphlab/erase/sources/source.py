"""A source: a text-to-image model that can be erased from, and be written as what it was."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.training.model import Model
from graphlab.erase.training.prompts import Prompts


class ErasureSource(Protocol):
    """A denoiser with the encoder of its prompts. What is erased is the denoiser: the encoder stays as it is."""

    @property
    def name(self) -> str:
        """What it was opened as."""
        ...

    @property
    def place(self) -> Path | None:
        """The file or folder it was read from, where a user gave one: results are not written over it."""
        ...

    @property
    def model(self) -> Model:
        """The denoiser, over the source's own weights."""
        ...

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the latents it denoises."""
        ...

    @property
    def steps(self) -> int:
        """Steps that its images are usually drawn in."""
        ...

    @property
    def guidance(self) -> float:
        """Guidance of the paths that points are taken from, unless another is asked for."""
        ...

    @property
    def batch(self) -> int:
        """Samples an iteration of training takes together, unless told otherwise."""
        ...

    def encode(self, prompts: Sequence[str]) -> torch.Tensor:
        """Encoded prompts (prompts, tokens, width); EraseError for one that the encoder cannot take whole."""
        ...

    def phrases(self, concept: str) -> tuple[str, ...]:
        """Prompts of a concept; EraseError, which names the nearest, for one that the source does not know."""
        ...

    def check_shape(self, shape: tuple[int, int, int]) -> None:
        """EraseError for latents (channels, height, width) that it cannot denoise."""
        ...

    def copied(self) -> ErasureSource:
        """The same over weights of its own."""
        ...

    def save(self, folder: Path, log: dict[str, str]) -> tuple[Path, ...]:
        """Writes it into `folder` as what it was, with a `log` where there is a place for one; the files written."""
        ...

    def to(self, device: torch.device) -> None:
        """Moves its weights."""
        ...


def named_prompts(source: ErasureSource, prompts: Sequence[str]) -> Prompts:
    """Encoded `prompts` with the empty one, as masks and training take them; EraseError for none, and for one that the
    encoder takes for the empty one: nothing leads away from it."""
    if not prompts:
        raise EraseError("nothing is to be erased", hint="name a concept, or give prompts of it")
    made = Prompts({prompt: source.encode([prompt]) for prompt in prompts}, source.encode([""]))
    for prompt, text in made.concept.items():
        if torch.equal(text, made.empty):
            raise EraseError(f"the prompt {prompt!r} says as much as the empty one: it is no name of a concept")
    return made


def prompts_of(
    source: ErasureSource, concepts: Sequence[str], prompts: Sequence[str], forms: int | None = None
) -> tuple[str, ...]:
    """The phrases of every one of `concepts`, the first `forms` or all, then `prompts`, each once."""
    found = [phrase for concept in concepts for phrase in source.phrases(concept)[:forms]]
    return tuple(dict.fromkeys([*found, *prompts]))
