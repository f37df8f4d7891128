"""What a rewrite says about itself: the new program, what changed, what stayed and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphlab.program import Program
from graphlab.rewriting.change import Change, Skip
from graphlab.rewriting.new_tensor import NewTensor

if TYPE_CHECKING:
    from graphlab.hoisting.result import HoistResult
    from graphlab.reuse.result import ReuseResult
    from graphlab.verification.result import Verification


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
