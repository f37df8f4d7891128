"""What a rewrite says about itself: the new program, what changed, what stayed and why."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

from graphlab.discovery.blame import blamed
from graphlab.discovery.owner import PluginError
from graphlab.program import Program

if TYPE_CHECKING:
    from graphlab.hoisting.result import HoistResult
    from graphlab.reuse.result import ReuseResult
    from graphlab.verification.result import Verification

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


@dataclass(frozen=True, slots=True)
class RewriteResult:
    """A rewritten program and the account of it.

    `dropped` are the keys of weights nothing reads any more; they are not in the new program. `seconds` is the time
    each pass took, by name, in the order they first ran. `details` holds what a pass reports beyond that (tables of
    the weight mask), by pass name. `base` is what `program` computes the same as: None for the program given, another
    one where passes that mean to change values ran first. `verification` is the outcome where one was asked for,
    `hoisted` what a stage rewrite (-O3) then made of `program`, with a verification of its own, `reused` what one made
    of it that approximates.
    """

    program: Program
    changes: tuple[Change, ...] = ()
    skips: tuple[Skip, ...] = ()
    new_tensors: tuple[NewTensor, ...] = ()
    dropped: tuple[str, ...] = ()
    seconds: tuple[tuple[str, float], ...] = ()
    details: tuple[tuple[str, Any], ...] = ()
    base: Program | None = None
    verification: Verification | None = None
    hoisted: HoistResult | None = None
    reused: ReuseResult | None = None

    @property
    def held(self) -> tuple[NewTensor, ...]:
        """The new tensors that `program` holds."""
        return tuple(made for made in self.new_tensors if not made.intermediate)

    @property
    def modified(self) -> bool:
        """Whether anything changed."""
        return bool(self.changes) or self.parts is not None

    @property
    def parts(self) -> HoistResult | ReuseResult | None:
        """The programs that a stage rewrite made of `program`; None where there was none, or it left it whole."""
        return next((made for made in (self.hoisted, self.reused) if made is not None and made.modified), None)


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
