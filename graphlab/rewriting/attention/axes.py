"""Where the dimensions of a tensor come from: each is an ordered product of axes of the scores, keys or values.

Views only regroup axes, so an axis stays itself through any split, merge and permutation; two axes of equal size
are never taken for one another.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import sympy
import torch

from graphlab.rewriting import fake
from graphlab.rewriting.draft import Draft
from graphlab.rewriting.fake import exact

Dims: TypeAlias = "list[tuple[Axis, ...]]"
"""The axes of every dimension of a tensor, outermost first; () is a dimension of size 1."""


class Unmatched(Exception):
    """What keeps an attention from being fused, in words a user reads."""


@dataclass(eq=False)
class Axis:
    """One axis: an int or sympy size, the two axes it was split into, if it was, and the one it was split from.

    `known` is a size as graphs write it: an int or a node that holds it; None where no node does.
    """

    size: Any
    parts: tuple[Axis, Axis] | None = None
    whole: Axis | None = field(default=None, repr=False)
    known: Any = field(default=None, repr=False)

    def leaves(self) -> tuple[Axis, ...]:
        """The axes this one consists of by now."""
        return (self,) if self.parts is None else (*self.parts[0].leaves(), *self.parts[1].leaves())


def leaves(axes: Iterable[Axis]) -> tuple[Axis, ...]:
    """The unsplit axes of `axes`, in order."""
    return tuple(leaf for axis in axes for leaf in axis.leaves())


def expression(size: Any) -> Any:
    """A size of a fake tensor as an int or a sympy expression."""
    if isinstance(size, int):
        return size
    expr = size.node.expr
    return int(expr) if expr.is_Integer else expr


def shape_of(node: torch.fx.Node) -> list[Any]:
    """The sizes of `node`'s value as ints and sympy expressions."""
    return [expression(size) for size in node.meta["val"].shape]


def equal(a: Any, b: Any) -> bool:
    """Whether two sizes (int or sympy) of one value, or of values that are combined, are equal at every binding."""
    return fake.equal(a, b)


def always_equal(a: Any, b: Any) -> bool:
    """Whether two sizes (int or sympy) are equal at every binding, odd ones too: 2 (n // 2) is not n."""
    return bool(a == b) or bool(sympy.expand(a - b) == 0)


def total(axes: Iterable[Axis]) -> Any:
    """The product of the sizes of `axes`."""
    size: Any = 1
    for axis in axes:
        size = size * axis.size
    return size


def dims_of(dims: Dims) -> Dims:
    """`dims` with every axis replaced by what it consists of by now."""
    return [leaves(axes) for axes in dims]


def regrouped(dims: Dims, shape: Sequence[Any], *, split: bool = True) -> Dims:
    """`dims` viewed as `shape`: axes regrouped in order, split where `shape` asks for it and `split` allows.

    Unmatched where the two do not fit, or would need a split that is not allowed.
    """
    pending = [leaf for leaf in leaves(axis for axes in dims for axis in axes) if not equal(leaf.size, 1)]
    found: Dims = []
    sizes = list(shape)
    for index in range(len(sizes)):
        if split and pending and not equal(sizes[index], 1):
            _split_along(pending, sizes[index:])
        found.append(_group(pending, sizes[index], split))
    if pending:
        raise Unmatched(_MIXED)
    return found


_MIXED = "a view merges parts of one axis with another"


def _split_along(pending: list[Axis], sizes: Sequence[Any]) -> None:
    """Splits the first of `pending` where the sizes that come next multiply to it: the only way they can be read."""
    head, product = pending[0], 1
    for count, size in enumerate(sizes, 1):
        product = product * exact(size)
        if equal(product, head.size):
            if count > 1:
                parts: list[Axis] = []
                for outer in [size for size in sizes[: count - 1] if not equal(size, 1)]:
                    if equal(outer, head.size):
                        break
                    first, head = split_axis(head, outer)
                    parts.append(first)
                pending[:1] = [*parts, head]
            return


def _group(pending: list[Axis], size: Any, split: bool) -> tuple[Axis, ...]:
    """Takes the axes of a dimension of `size` off `pending`."""
    if equal(size, 1):
        return ()
    product: Any = 1
    for count, axis in enumerate(pending, 1):
        product = product * axis.size
        if equal(product, size):
            group, pending[:count] = pending[:count], []
            return tuple(group)
    group = []
    rest = size
    while not equal(rest, 1):
        if not pending:
            raise Unmatched(_MIXED)
        head = pending.pop(0)
        if _divides(head.size, rest):
            group.append(head)
            rest = _quotient(rest, head.size)
        elif split and _divides(rest, head.size):
            first, second = split_axis(head, rest)
            group.append(first)
            pending.insert(0, second)
            rest = 1
        else:
            raise Unmatched(_MIXED)
    return tuple(group)


def _quotient(a: Any, b: Any) -> Any:
    if isinstance(a, int) and isinstance(b, int):
        return a // b
    ratio = sympy.cancel(sympy.sympify(exact(a)) / exact(b))
    return int(ratio) if ratio.is_Integer else ratio


def _divides(a: Any, b: Any) -> bool:
    """Whether b / a is a whole number at every binding."""
    if isinstance(a, int) and isinstance(b, int):
        return b % a == 0
    if isinstance(b, int) and not isinstance(a, int):
        return False
    numerator, denominator = sympy.fraction(sympy.cancel(sympy.sympify(exact(b)) / exact(a)))
    if denominator != 1:
        return False
    symbols = numerator.free_symbols
    return not symbols or all(value.is_Integer for value in sympy.Poly(numerator, *symbols).coeffs())


def split_axis(axis: Axis, outer: Any) -> tuple[Axis, Axis]:
    """`axis` as an outer part of size `outer` and the rest."""
    axis.parts = (Axis(outer, whole=axis), Axis(_quotient(axis.size, outer), whole=axis))
    return axis.parts


def note_sizes(node: torch.fx.Node, dims: Dims) -> None:
    """Remembers how graphs can write the size of each axis that is a whole dimension of `node`."""
    for index, axes in enumerate(dims_of(dims)):
        if len(axes) == 1 and axes[0].known is None:
            axes[0].known = (node, index)


def note_arguments(node: torch.fx.Node, dims: Dims) -> None:
    """Remembers the sizes a view was given: those of its dimensions that are one axis."""
    sizes = node.args[1] if len(node.args) > 1 else None
    if not isinstance(sizes, (list, tuple)) or len(sizes) != len(dims):
        return
    for axes, size in zip(dims_of(dims), sizes, strict=True):
        if len(axes) == 1 and axes[0].known is None and isinstance(size, torch.fx.Node):
            axes[0].known = size


def written(axis: Axis, draft: Draft, at: torch.fx.Node) -> Any:
    """The size of `axis` as an argument: an int or a node before `at`. Unmatched when no value shows it."""
    if isinstance(axis.size, int):
        return axis.size
    if isinstance(axis.known, tuple):
        node, index = axis.known
        axis.known = draft.size(node, index)
    if axis.known is None or (isinstance(axis.known, torch.fx.Node) and not axis.known < at):
        axis.known = _divided(axis, draft, at)
    return axis.known


def _divided(axis: Axis, draft: Draft, at: torch.fx.Node) -> Any:
    """The size of one part of a split axis: the whole divided by the other part."""
    if axis.whole is None or axis.whole.parts is None:
        raise Unmatched("the size of an axis cannot be read off any value")
    first, second = axis.whole.parts
    other = second if first is axis else first
    if not isinstance(other.size, int) and other.known is None:
        raise Unmatched("the size of an axis cannot be read off any value")
    whole = written(axis.whole, draft, at)
    return draft.call(operator.floordiv, whole, written(other, draft, at), at=at)
