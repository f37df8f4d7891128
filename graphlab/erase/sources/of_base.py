"""A base of a small world as a source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.training.model import Model
from graphlab.erase.worlds.base import Base
from graphlab.erase.worlds.base_file import load_base, save_base
from graphlab.erase.worlds.gate import GUIDANCE, STEPS
from graphlab.erase.worlds.phrases import TRAINED_FORMS
from graphlab.names import nearest

FILE = "erased.safetensors"
BATCH = 16


@dataclass(frozen=True)
class BaseSource:
    """`base`, opened as `name`, from the file `place`. Its concepts are the classes of its world's last attribute."""

    base: Base
    name: str
    place: Path | None = None

    @classmethod
    def opened(cls, path: Path, name: str) -> BaseSource:
        """The base in a file; EraseError for one that is none."""
        return cls(load_base(path), name, path)

    @property
    def model(self) -> Model:
        """The U-Net, over the base's own weights."""
        return self.base.model

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the world's images: there is no autoencoder."""
        return self.base.world.shape

    @property
    def steps(self) -> int:
        """Those of the gate."""
        return STEPS

    @property
    def guidance(self) -> float:
        """That of the gate."""
        return GUIDANCE

    @property
    def batch(self) -> int:
        """BATCH: its images are small."""
        return BATCH

    def encode(self, prompts: Sequence[str]) -> torch.Tensor:
        """Encoded prompts (prompts, tokens, 32); EraseError for a word that is not in the vocabulary."""
        return self.base.encode(prompts)

    def phrases(self, concept: str) -> tuple[str, ...]:
        """The phrases that erasing may use; others stay unseen, so that they can tell how far it carries."""
        attribute = self.base.world.attributes[-1]
        if concept not in attribute.classes:
            known = f"known: {', '.join(attribute.classes)}"
            raise EraseError(
                f"{self.base.world.name} has no {attribute.name} {concept!r}",
                hint=nearest(concept, attribute.classes) + known,
            )
        label = attribute.label(concept)
        return tuple(self.base.language.phrase(attribute.name, label, form) for form in TRAINED_FORMS)

    def check_shape(self, shape: tuple[int, int, int]) -> None:
        """EraseError for another shape than its images have."""
        if shape != self.shape:
            raise EraseError(f"{self.name} draws images of shape {self.shape}, not {shape}")

    def copied(self) -> BaseSource:
        """The same over weights of its own."""
        return BaseSource(self.base.copy(), self.name, self.place)

    def save(self, folder: Path, log: dict[str, str]) -> tuple[Path, ...]:
        """Writes FILE, a base file like the one it came from, its log longer by `log`."""
        path = folder / FILE
        base = self.base
        save_base(Base(base.config, base.unet, base.encoder, {**base.log, **log}), path)
        return (path,)

    def to(self, device: torch.device) -> None:
        """Moves U-Net and encoder."""
        self.base.unet.to(device)
        self.base.encoder.to(device)
