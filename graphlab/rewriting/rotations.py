"""Rotations of pairs of channels by the angles of tables, as programs write them out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch

from graphlab.rewriting.attention.uses import is_assertion, is_dead
from graphlab.rewriting.fake import same_size
from graphlab.rewriting.identities import is_cast
from graphlab.rewriting.pairs import Part, Whole, joined, part_of, regroups, root_of, same_sizes, uncast, whole_of
from graphlab.rewriting.twins import Twins, same_value

Node: TypeAlias = torch.fx.Node
aten = torch.ops.aten


@dataclass(frozen=True, slots=True)
class Rotation:
    """`end` is `whole` turned by `cos` and `sin`, computed in `inside`.

    `wide` tables hold every angle twice; a complex one is both, cos + i sin.
    """

    end: Node
    whole: Whole
    cos: Node
    sin: Node
    interleaved: bool
    wide: bool
    inside: torch.dtype


def rotated(node: Node, twins: Twins) -> Rotation | str | None:
    """The rotation that the sum `node` ends; a str is why it is none of the kind, None for another sum."""
    terms: Any = node.args
    if not all(map(_is_product, terms)) or node.kwargs:
        return None
    for straight, crossed in (terms, terms[::-1]):
        for rotated, sin in _factors(crossed):
            part = _rotation(rotated)
            if part is None:
                continue
            for x, cos in _factors(straight):
                if whole_of(x).same(part.whole):
                    found = Rotation(node, part.whole, cos, sin, part.interleaved, True, node.meta["val"].dtype)
                    return _unfit(found, [straight, crossed], twins) or found
            return f"{rotated} turns {part.whole.root}, which {straight} is not of"
    return None


def _factors(product: Any) -> Iterator[tuple[Node, Node]]:
    first, second = product.args
    if isinstance(first, Node) and isinstance(second, Node):
        yield first, second
        yield second, first


def _rotation(node: Node) -> Part | None:
    """The first channels of x where `node` is (-second, first) of its pairs."""
    pair = joined(uncast(node))
    if pair is None:
        return None
    negated = uncast(pair.first)
    if negated.target is not aten.neg.default:
        return None
    second, first = part_of(negated.args[0]), part_of(pair.second)
    if first is None or second is None or not first.whole.same(second.whole):
        return None
    alike = first.interleaved == second.interleaved == pair.interleaved
    return first if alike and (first.index, second.index) == (0, 1) else None


def _unfit(found: Rotation, products: list[Node], twins: Twins) -> str | None:
    for product in products:
        if len(readers(product)) > 1:
            return f"{product} is read elsewhere"
    for table in (found.cos, found.sin):
        shape = table.meta["val"].shape
        if not shape or not same_size(shape[-1], found.whole.shape[-1]):
            return f"{table} does not hold a number for every channel"
        if not twins.holds(table, found.interleaved):
            places = "channels 2 i and 2 i + 1" if found.interleaved else "both halves"
            return f"{table} is not shown to hold the same numbers for {places}"
    return None


def turned(node: Node) -> Rotation | str | None:
    """The rotation whose pairs `node` joins; a str is why it is none of the kind, None for another join."""
    pair = joined(node)
    if pair is None:
        return None
    real, imaginary = _before_cast(pair.first), _before_cast(pair.second)
    if real.target is not aten.sub.Tensor or imaginary.target is not aten.add.Tensor or real.kwargs or imaginary.kwargs:
        return None
    if not all(_is_product(term) for term in (*real.args, *imaginary.args)):
        return None
    for first, second, cos, sin in _real(real):
        if first.interleaved != pair.interleaved or not _imaginary(imaginary, first, second, cos, sin):
            continue
        if any(len(readers(value)) > 1 for value in (real, imaginary)):
            return f"{real} or {imaginary} is read elsewhere"
        inside = torch.promote_types(real.meta["val"].dtype, imaginary.meta["val"].dtype)
        return Rotation(node, first.whole, cos, sin, first.interleaved, False, inside)
    return None


def _before_cast(node: Node) -> Node:
    source = node.args[0] if is_cast(node) else None
    return source if isinstance(source, Node) else node


def _is_product(value: Any) -> bool:
    return isinstance(value, Node) and value.target is aten.mul.Tensor


def _real(node: Node) -> Iterator[tuple[Part, Part, Node, Node]]:
    """(first, second, cos, sin) as which `node` may be first cos - second sin."""
    for x, cos in _factors(node.args[0]):
        first = part_of(x)
        for y, sin in _factors(node.args[1]):
            second = part_of(y)
            if first is not None and second is not None and _are_pair(first, second):
                yield first, second, cos, sin


def _are_pair(first: Part, second: Part) -> bool:
    alike = first.interleaved == second.interleaved and first.whole.same(second.whole)
    return alike and (first.index, second.index) == (0, 1)


def _imaginary(node: Node, first: Part, second: Part, cos: Node, sin: Node) -> bool:
    """Whether `node` is second cos + first sin."""
    for one, other in (node.args, node.args[::-1]):
        for x, first_table in _factors(one):
            for y, second_table in _factors(other):
                tables = same_value(first_table, sin) and same_value(second_table, cos)
                if tables and _same_part(part_of(x), first) and _same_part(part_of(y), second):
                    return True
    return False


def _same_part(found: Part | None, wanted: Part) -> bool:
    if found is None or (found.interleaved, found.index) != (wanted.interleaved, wanted.index):
        return False
    return found.whole.same(wanted.whole)


def multiplied(node: Node) -> Rotation | str | None:
    """The rotation whose complex product the view `node` gives back as real numbers; None for another view."""
    product = node.args[0]
    ends = readers(node)
    if not isinstance(product, Node) or not _is_product(product):
        return None
    for x, table in _factors(product):
        if x.target is not aten.view_as_complex.default or not table.meta["val"].is_complex():
            continue
        pairs = x.args[0]
        assert isinstance(pairs, Node)
        shape = pairs.meta["val"].shape
        whole = Whole(root_of(pairs), (*shape[:-2], 2 * shape[-2]), pairs, 2)
        if len(ends) != 1 or not regroups(ends[0]) or not same_sizes(ends[0].meta["val"].shape, whole.shape):
            return f"{node} is read as pairs"
        return Rotation(ends[0], whole, table, table, True, False, node.meta["val"].dtype)
    return None


def readers(node: Node) -> list[Node]:
    """Who reads the numbers of `node`."""
    return [user for user in node.users if not is_assertion(user) and not is_dead(user)]
