"""A saliency run that was interrupted: the maps combined so far, in one file that is whole or not there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.saliency.packed import Votes
from graphlab.erase.training.checkpoint import atomic_file, read_saved

FORMAT = "graphlab.erase.saliency"
VERSION = 2


@dataclass(frozen=True, slots=True)
class Partial:
    """Where a run keeps what it has: `path`, and the `fingerprint` of configuration, model and prompts."""

    path: Path
    fingerprint: str

    def save(self, votes: Votes, curve: list[int], sums: Mapping[str, float]) -> None:
        """Keeps the maps combined so far, the entries that were left after each, and `sums` {key: of mean scores}."""
        values = {
            "format": FORMAT,
            "version": VERSION,
            "fingerprint": self.fingerprint,
            "planes": votes.state(),
            "shapes": {key: list(shape) for key, shape in votes.shapes.items()},
            "added": votes.added,
            "curve": curve,
            "sums": dict(sums),
        }
        with atomic_file(self.path) as file:
            torch.save(values, file)

    def load(self, votes: Votes) -> tuple[list[int], dict[str, float]]:
        """Puts what is kept into `votes`, and gives (entries left after each map, sums of mean scores); empty where
        nothing is kept.

        EraseError for a file that cannot be read, and one of another run.
        """
        if not self.path.exists():
            return [], {}
        try:
            values = read_saved(self.path)
            if values["format"] != FORMAT or values["version"] != VERSION:
                raise EraseError(f"{self.path} keeps no saliency run of version {VERSION}")
            if values["fingerprint"] != self.fingerprint:
                raise EraseError(f"{self.path} is of another configuration, model or prompts", hint="give another file")
            shapes = {key: torch.Size(shape) for key, shape in values["shapes"].items()}
            votes.load(values["planes"], shapes, values["added"])
            curve: list[int] = values["curve"]
            sums: dict[str, float] = values["sums"]
        except (KeyError, TypeError, ValueError) as error:
            raise EraseError(f"{self.path} keeps no saliency run: {error!r}", hint="begin anew with --force") from error
        return curve, sums
