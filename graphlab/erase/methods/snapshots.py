"""Models along a run, as files of bases beside its checkpoint."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.training.checkpoint import load_checkpoint
from graphlab.erase.training.loop import CHECKPOINT
from graphlab.erase.worlds.base import Base
from graphlab.erase.worlds.base_file import load_base, save_base


@dataclass(frozen=True, slots=True)
class Snapshots:
    """The models after each of `marks` iterations, in `folder`: every mark is one at which training saves."""

    folder: Path
    marks: tuple[int, ...]

    def keep(self, iteration: int, student: Base) -> None:
        """Writes the student if `iteration` is a mark."""
        if iteration in self.marks:
            save_base(student, self._path(iteration))

    def catch_up(self, base: Base) -> None:
        """Writes what a run did not come to write that was cut off between its checkpoint and its snapshot.

        EraseError where an earlier one is missing: the folder is not as a run leaves it.
        """
        path = self.folder / CHECKPOINT
        if not path.exists():
            return
        found = load_checkpoint(path)
        if found.iteration in self.marks and not self._path(found.iteration).exists():
            student = base.copy()
            parameters = dict(student.unet.named_parameters())
            with torch.no_grad():
                for name, value in found.weights.items():
                    parameters[name].copy_(value)
            self.keep(found.iteration, student)
        missing = [mark for mark in self.marks if mark <= found.iteration and not self._path(mark).exists()]
        if missing:
            raise EraseError(f"{self.folder} lacks its model after {missing[0]} iterations", hint="start a new run")

    def load(self, base: Base, iteration: int) -> Base:
        """The model after a mark, its encoder being that of `base`."""
        return replace(load_base(self._path(iteration)), encoder=base.encoder)

    def _path(self, iteration: int) -> Path:
        return self.folder / f"after-{iteration}.safetensors"
