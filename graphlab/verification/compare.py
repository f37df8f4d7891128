"""How far two values are apart, and whether that is allowed.

Errors are relative per element, |a - b| / max(|r|, typical), where r is the float64 value of the program before and
typical the median of its non-zero magnitudes: one huge entry (the -3e38 of a mask) hides nothing. NaN equals NaN and an
infinity itself at the same place; against anything else the error is infinite. Integers and booleans differ or not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch

from graphlab.verification.result import VerifyOptions
from graphlab.verification.run import wide

_SAMPLE = 1 << 16


@dataclass(frozen=True, slots=True)
class Gap:
    """Errors of one value: the largest, the sum of squares, and how many elements there are."""

    worst: float = 0.0
    squares: float = 0.0
    count: int = 0

    @property
    def rms(self) -> float:
        """Root of the mean square error."""
        return math.sqrt(self.squares / self.count) if self.count else 0.0

    def __add__(self, other: Gap) -> Gap:
        return Gap(max(self.worst, other.worst), self.squares + other.squares, self.count + other.count)


DIFFERENT = Gap(math.inf, math.inf, 1)
"""Another shape, dtype or kind of value."""


def gap(a: Any, b: Any, reference: Any, exempt: torch.Tensor | None = None, scale: torch.Tensor | None = None) -> Gap:
    """The Gap of `a` against `b`, relative to `reference`; elements where `exempt` is true do not count.

    `scale` is `scale_of(reference)` where the caller has it.
    """
    if not isinstance(a, torch.Tensor) or not isinstance(b, torch.Tensor):
        return _other_values(a, b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return DIFFERENT
    if torch.equal(a, b):
        return Gap(count=a.numel())
    if a.is_floating_point() or a.is_complex():
        left, right = wide(a), wide(b)
        scale = scale_of(reference) if scale is None else scale
        errors = ((left - right).abs() / scale).nan_to_num(nan=math.inf, posinf=math.inf)
        errors = errors.masked_fill((left == right) | (left.isnan() & right.isnan()), 0.0)
    else:
        errors = (a != b).to(torch.float64)
    if exempt is not None:
        errors = errors.masked_fill(exempt, 0.0)
    return Gap(float(errors.max()), float(errors.square().sum()), errors.numel())


def _other_values(a: Any, b: Any) -> Gap:
    if isinstance(a, (tuple, list)) and isinstance(b, (tuple, list)):
        if len(a) != len(b):
            return DIFFERENT
        total = Gap()
        for left, right in zip(a, b, strict=True):
            total = total + gap(left, right, right)
        return total
    return Gap(count=1) if type(a) is type(b) and a == b else DIFFERENT


def scale_of(reference: torch.Tensor) -> torch.Tensor:
    """What errors are relative to, in float64: the magnitude of each element, at least the typical one."""
    sizes = wide(reference).abs()
    return sizes.nan_to_num(nan=0.0, posinf=0.0).clamp(min=typical(reference))


def typical(value: torch.Tensor) -> float:
    """The median magnitude of what is finite and not zero in `value`, of at most 65,536 elements; 1 if nothing is."""
    flat = value.flatten()
    flat = wide(flat[:: max(-(-flat.numel() // _SAMPLE), 1)]).abs()
    flat = flat[flat.isfinite() & (flat != 0)]
    return float(flat.median()) if flat.numel() else 1.0


def vacuous(value: Any) -> bool:
    """Whether comparing `value` says nothing: a floating tensor that holds only NaN, infinities and zeros."""
    if not isinstance(value, torch.Tensor) or not (value.is_floating_point() or value.is_complex()):
        return False
    return value.numel() > 0 and not bool((value.isfinite() & (value != 0)).any())


def _same(a: torch.Tensor, b: torch.Tensor) -> bool:
    return a.dtype == b.dtype and torch.equal(a, b)


def _alike(a: Any, b: Any) -> bool:
    """Whether both are tuples or lists of one length: the results of an operator with several."""
    return isinstance(a, (tuple, list)) and isinstance(b, (tuple, list)) and len(a) == len(b)


@dataclass
class Tally:
    """What was met of one value over all runs: in float64, and in the model's dtype beside its own error."""

    double: Gap = field(default_factory=Gap)
    model: Gap = field(default_factory=Gap)
    own: Gap = field(default_factory=Gap)
    eps: float = 0.0
    exact: bool = False
    said: bool = False
    """Whether any run gave a value that says something."""

    def add_double(self, before: Any, after: Any) -> None:
        """Counts a float64 run."""
        if _alike(before, after):
            for old, new in zip(before, after, strict=True):
                self.add_double(old, new)
            return
        self.double = self.double + gap(after, before, before)
        self.said = self.said or not vacuous(before)

    def add_model(self, reference: Any, before: Any, after: Any) -> None:
        """Counts a run in the model's dtype; `reference` is the value before in float64.

        Where the program before overflows and its float64 run does not, its own error is infinite: not counted.
        """
        if _alike(before, after) and _alike(before, reference):
            for exact, old, new in zip(reference, before, after, strict=True):
                self.add_model(exact, old, new)
            return
        if isinstance(before, torch.Tensor) and isinstance(after, torch.Tensor) and _same(before, after):
            self.model = self.model + Gap(count=before.numel())  # what its own error is does not matter
        elif isinstance(before, torch.Tensor) and before.shape == getattr(reference, "shape", None):
            floating = before.is_floating_point() or before.is_complex()
            exempt = (before.isfinite() != reference.isfinite()) if floating else None
            self.eps = max(self.eps, torch.finfo(before.dtype).eps if floating else 0.0)
            self.exact = self.exact or not floating
            scale = scale_of(reference) if floating else None
            self.own = self.own + gap(wide(before), reference, reference, exempt, scale)
            self.model = self.model + gap(after, before, reference, exempt, scale)
        else:
            self.model = self.model + gap(after, before, before)

    def excess(self, options: VerifyOptions) -> tuple[float, float]:
        """(error, what is allowed) in the model's dtype of the kind that is exceeded: the largest, or the mean one."""
        if self.model.worst > self._most(options):
            return self.model.worst, self._most(options)
        return self.model.rms, options.factor * self.own.rms + self._floor(options)

    def _most(self, options: VerifyOptions) -> float:
        return options.tail_factor * self.own.worst + self._floor(options)

    def _floor(self, options: VerifyOptions) -> float:
        return max(options.floor_eps * self.eps, self._least(options))

    def _least(self, options: VerifyOptions) -> float:
        return 0.0 if self.exact else options.tolerance

    def double_holds(self, options: VerifyOptions) -> bool:
        """Whether the float64 runs agree."""
        return self.double.worst <= options.tolerance

    def model_holds(self, options: VerifyOptions) -> bool:
        """Whether the runs in the model's dtype agree as well as that dtype can: in the root mean square, and more
        loosely in the largest error, which for one rounding is the luck of one element. Integers may differ in `factor`
        x as many places as the program's own do from float64."""
        if self.exact:
            return self.model.squares <= options.factor * self.own.squares
        mean = options.factor * self.own.rms + self._floor(options)
        return self.model.worst <= self._most(options) and self.model.rms <= mean
