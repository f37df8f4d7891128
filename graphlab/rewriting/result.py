"""What a rewrite says about itself: the new program, what changed, what stayed and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from graphlab.program import Program

if TYPE_CHECKING:
    import torch

Make: TypeAlias = "Callable[[Mapping[str, torch.Tensor]], torch.Tensor]"
"""{origin key: tensor} to the tensor made of them; works in any dtype and on any device."""


@dataclass(frozen=True, slots=True)
class Change:
    """One rewrite that was made.

    `values` are pairs (node name before, node name after) that compute the same value. `why` says in words what was
    recognised. `module` is the path of the module the value belongs to, `source` its "file.py:line"; "" if unknown.
    """

    pass_name: str
    values: tuple[tuple[str, str], ...]
    why: str
    module: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Skip:
    """A candidate that stayed as it was: its node, why, and where it comes from."""

    pass_name: str
    node: str
    why: str
    module: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class NewTensor:
    """A weight the rewrite made: `nbytes` of it, of the weights `origins`, by `make`."""

    key: str
    nbytes: int
    origins: tuple[str, ...]
    make: Make


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


@dataclass(frozen=True, slots=True)
class RewriteResult:
    """A rewritten program and the account of it.

    `dropped` are the keys of weights nothing reads any more; they are not in the new program. `seconds` is the time
    each pass took, by name, in the order they first ran. `details` holds what a pass reports beyond that (tables of
    the weight mask), by pass name.
    """

    program: Program
    changes: tuple[Change, ...] = ()
    skips: tuple[Skip, ...] = ()
    new_tensors: tuple[NewTensor, ...] = ()
    dropped: tuple[str, ...] = ()
    seconds: tuple[tuple[str, float], ...] = ()
    details: tuple[tuple[str, Any], ...] = ()

    @property
    def modified(self) -> bool:
        """Whether anything changed."""
        return bool(self.changes)
