"""Weights of a stage in files: by the program's keys, one at a time, checked and cast on the way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from graphlab.names import nearest
from graphlab.weights.built import Built, built
from graphlab.weights.casting import cast, spelled
from graphlab.weights.drawn import computed
from graphlab.weights.errors import MissingWeight, WeightsError
from graphlab.weights.files import Stored, opened
from graphlab.weights.folder import weight_file
from graphlab.weights.matching import Spelling, spelling
from graphlab.workload import Stage


class StoredWeights:
    """The weights of a stage that `stored` holds, by the program's keys.

    Floating values are cast to the dtype asked for, integers to other integers. Buffers that no state dict holds have
    the values the stage's constructor computes, whatever the file says, as loading it into the module would have it.
    """

    is_random = False

    def __init__(self, spec: str, stored: Stored, known: Built, names: Spelling, notes: tuple[str, ...] = ()) -> None:
        self.spec = spec
        # What a file holds is read from it: of what the constructor computes only the rest is kept.
        unsaved = {key: value for key, value in known.computed.items() if key in known.unsaved}
        self._stored, self._built, self._names = stored, replace(known, computed=unsaved), names
        self._notes = notes
        self._casts: dict[tuple[str, str], set[str]] = {}

    @property
    def notes(self) -> tuple[str, ...]:
        """How the file was read, and what was cast so far."""
        casts = (f"{len(names)} weights cast from {old} to {new}" for (old, new), names in self._casts.items())
        return (*self._notes, *self._names.notes, *self._stored.notes, *casts)

    def read(self, key: str, like: torch.Tensor) -> torch.Tensor:
        """The weight `key` on the CPU, with the shape and dtype of `like`.

        MissingWeight, naming the nearest key, when the file lacks it; WeightsError for another shape, numbers of
        another kind or too large for the dtype, and a buffer that neither the file nor a constructor has.
        """
        if key in self._built.computed:
            return computed(self._built, key, like)
        name = self._names.find(key)
        if name is None:
            raise self._missing(key)
        value = self._stored.read(name)
        if value.shape != like.shape:
            raise WeightsError(
                f"{self.spec}: {name} has shape {tuple(value.shape)}, expected {tuple(like.shape)} for {key}",
                hint="the weights are of another configuration of the model",
            )
        made = cast(value, like.dtype, f"{self.spec}: {name}")
        if made is not value:
            self._casts.setdefault((spelled(value.dtype), spelled(like.dtype)), set()).add(name)
        return made

    def _missing(self, key: str) -> WeightsError:
        wanted = self._names.spelt(key)
        if key not in self._built.saved:
            return WeightsError(
                f"the value of {key} is lost: the model computes it, no checkpoint stores it, and the program was "
                "captured without it",
                hint="capture the program from the model with its weights loaded",
            )
        return MissingWeight(
            f"{self.spec} has no weight {wanted!r}" + (f", which is {key} of the program" if wanted != key else ""),
            hint=nearest(wanted, self._stored.names).strip() or "the weights are of another model, or incomplete",
        )


def stored_weights(
    path: Path, spec: str, stage: Stage, *, trust_pickle: bool = False, notes: tuple[str, ...] = ()
) -> StoredWeights:
    """The weights of `stage` in the file or folder `path`; `notes` are what else is to be said of them.

    WeightsError when it holds none of them, SourceError when it is missing, damaged or no weights.
    """
    if not path.exists():
        raise WeightsError(f"there are no weights at {spec}: no such file or folder", hint="give a path, or random:0")
    file, choice = weight_file(path, stage.name)
    stored = opened(file, trust_pickle=trust_pickle)
    known = built(stage)
    names = spelling(known.saved or known.buffers, stored.names, str(file), stage.name)
    return StoredWeights(spec, stored, known, names, (*notes, *choice))
