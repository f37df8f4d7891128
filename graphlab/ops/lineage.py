"""Where an axis comes from: every dimension as an ordered product of factors, each with the input axes behind it.

Views only split, merge and reorder factors, so `(batch frames) c h w -> batch c frames (h w)` keeps track of
frames even where 4 x 4 positions and 16 frames have the same length. A concatenated axis keeps its parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

NOTHING: frozenset[str] = frozenset()

LOST = "%?"
"""An origin that marks a factor whose place in its dimension a reshape made impossible to tell."""


class Factor(NamedTuple):
    """Part of a dimension: its size, the axes it comes from ("sample.d2"; "%name.d0" for a weight's), and,
    when it was concatenated, the (size, origins) of each part in order."""

    size: int
    origins: frozenset[str] = NOTHING
    parts: tuple[tuple[int, frozenset[str]], ...] = ()

    @property
    def known(self) -> bool:
        """Whether an input axis (not a weight's) is behind this factor."""
        return any(not origin.startswith("%") for origin in self.origins)


Axis: TypeAlias = tuple[Factor, ...]
"""The factors of one dimension, outermost first; () for size 1."""

Axes: TypeAlias = tuple[Axis, ...]
"""The dimensions of one tensor."""


def origins(axis: Axis) -> frozenset[str]:
    """Every origin behind `axis`."""
    return frozenset().union(*(factor.origins for factor in axis)) if axis else NOTHING


def is_known(axis: Axis) -> bool:
    """Whether an input axis is behind any factor of `axis`."""
    return any(factor.known for factor in axis)


def fresh(size: int) -> Axis:
    """An axis of `size` that comes from no input: a channel axis, a new axis."""
    return (Factor(size),) if size != 1 else ()


def fresh_axes(shape: Iterable[int]) -> Axes:
    """`fresh` for every dimension of `shape`."""
    return tuple(fresh(size) for size in shape)


def resized(axis: Axis, size: int) -> Axis:
    """`axis` after an op changed its size (stride, padding, resampling): same origins, one factor."""
    if size == 1:
        return ()
    if size == product(axis):
        return axis
    return (Factor(size, origins(axis)),)


def product(axis: Axis) -> int:
    """The size of a dimension made of these factors."""
    total = 1
    for factor in axis:
        total *= factor.size
    return total


def merged(candidates: Sequence[Axis]) -> Axis:
    """The axis of a broadcast: the candidate that knows most; input axes beat weights, which beat nothing."""
    best: Axis = ()
    for axis in candidates:
        if _rank(axis) > _rank(best):
            best = axis
    return best


def _rank(axis: Axis) -> tuple[int, int, int, int]:
    known = sum(factor.known for factor in axis)
    return (known, sum(bool(f.parts) for f in axis), sum(bool(f.origins) for f in axis), len(axis))


def reshaped(axes: Axes, shape: Sequence[int]) -> Axes:
    """The axes of a row-major reshape to `shape`: factors are regrouped, and split where a size asks for it."""
    stack = [factor for axis in reversed(axes) for factor in reversed(axis)]
    result: list[Axis] = []
    for size in shape:
        taken = _take(stack, size)
        if taken is None:
            return _realigned(axes, shape)
        result.append(taken)
    return tuple(result)


def _take(stack: list[Factor], size: int) -> Axis | None:
    """Factors off `stack` whose product is `size`; None when no split makes it."""
    taken: list[Factor] = []
    left = size
    while left > 1:
        if not stack:
            return None
        factor = stack.pop()
        if left % factor.size == 0:
            taken.append(factor)
            left //= factor.size
        elif factor.size % left == 0:
            taken.append(Factor(left, factor.origins))
            stack.append(Factor(factor.size // left, factor.origins))
            left = 1
        else:
            return None
    return tuple(taken)


def _realigned(axes: Axes, shape: Sequence[int]) -> Axes:
    """A reshape that cuts across factors: dimensions in the uneven region get the union of what it covers."""
    union = frozenset().union(*(origins(axis) for axis in axes)) if axes else NOTHING
    known = frozenset(origin for origin in union if not origin.startswith("%")) | {LOST}
    return tuple((Factor(size, known),) if size != 1 else () for size in shape)


def concatenated(axes: Sequence[Axis], sizes: Sequence[int]) -> Axis:
    """The axis of a concatenation of `axes`: one factor; its parts are kept when they differ."""
    pairs: list[tuple[int, frozenset[str]]] = []
    for axis, size in zip(axes, sizes, strict=True):
        if len(axis) == 1 and axis[0].parts:
            pairs.extend(axis[0].parts)
        else:
            pairs.append((size, origins(axis)))
    total = sum(sizes)
    union = frozenset().union(*(part for _, part in pairs)) if pairs else NOTHING
    distinct = {part for _, part in pairs}
    return (Factor(total, union, tuple(pairs) if len(distinct) > 1 else ()),) if total != 1 else ()


def sliced(axis: Axis, start: int, stop: int) -> Axis:
    """The axis of positions start..stop of `axis`; a slice inside one part of a concatenation is that part."""
    size = max(stop - start, 0)
    if size == 1:
        return ()
    if size == product(axis) and start == 0:
        return axis
    if len(axis) == 1 and axis[0].parts:
        covered = _covered(axis[0].parts, start, stop)
        if len({part for _, part in covered}) == 1:
            return (Factor(size, covered[0][1]),)
        union = frozenset().union(*(part for _, part in covered)) if covered else NOTHING
        return (Factor(size, union, tuple(covered)),)
    return (Factor(size, origins(axis)),)


def _covered(parts: Sequence[tuple[int, frozenset[str]]], start: int, stop: int) -> list[tuple[int, frozenset[str]]]:
    covered, position = [], 0
    for size, part in parts:
        low, high = max(start, position), min(stop, position + size)
        if low < high:
            covered.append((high - low, part))
        position += size
    return covered
