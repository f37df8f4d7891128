"""Weights that rewrites made, and how to make them again of other values."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch

from graphlab.discovery.blame import blamed
from graphlab.discovery.owner import PluginError

Make: TypeAlias = "Callable[[Mapping[str, torch.Tensor]], torch.Tensor]"
"""{origin key: tensor} to the tensor made of them; works in any dtype and on any device."""


@dataclass(frozen=True, slots=True)
class NewTensor:
    """A weight the rewrite made: `nbytes` of it, of the weights `origins`, by `make`.

    Origins are weights of the program before, or other new tensors. An `intermediate` one was made by one pass and
    used up by another: the new program does not hold it, but recipes of others start from it.
    """

    key: str
    nbytes: int
    origins: tuple[str, ...]
    make: Make
    intermediate: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """A recipe of a pass that is not graphlab's: an error of it names `who` made it, and for which weight.

    `shape` is what it made at first, and has to make of every other values.
    """

    who: str
    key: str
    make: Make
    shape: tuple[int, ...] | None = None

    def __call__(self, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """What `make` makes; PluginError for whatever it raises, and for what is no tensor."""
        with blamed(self.who, f"cannot make the weight {self.key}"):
            made: object = self.make(tensors)
        if not isinstance(made, torch.Tensor):
            raise PluginError(f"{self.who} makes a {type(made).__name__} of the weight {self.key}, expected a tensor")
        if self.shape is not None and tuple(made.shape) != self.shape:
            raise PluginError(f"{self.who} makes the weight {self.key} {tuple(made.shape)}, at first {self.shape}")
        return made


@dataclass(frozen=True, slots=True)
class InTurn:
    """How a weight is made that was made or changed before: `makes` one after the other, the later ones of `key`."""

    key: str
    makes: tuple[Make, ...]

    def __call__(self, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """What the last of them returns."""
        first, *later = self.makes
        made = first(tensors)
        for make in later:
            made = make({self.key: made})
        return made


def needed(made: Mapping[str, NewTensor], held: Collection[str]) -> tuple[NewTensor, ...]:
    """Those of `made` ({key: NewTensor}) that a program with the weights `held` is made of, the rest of them left out.

    What only recipes start from is marked as intermediate.
    """
    pending, wanted = [key for key in made if key in held], set[str]()
    while pending:
        key = pending.pop()
        if key not in wanted:
            wanted.add(key)
            pending.extend(origin for origin in made[key].origins if origin in made)
    return tuple(replace(item, intermediate=key not in held) for key, item in made.items() if key in wanted)
