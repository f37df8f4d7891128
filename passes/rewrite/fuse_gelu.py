"""fuse-gelu: GELUs written out become `aten.gelu`, and x * sigmoid(1.702 x) `graphlab::quick_gelu`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import torch

from graphlab.fused.quick_gelu import QUICK_GELU
from graphlab.rewriting.arguments import arguments
from graphlab.rewriting.asserted import drop_assertions
from graphlab.rewriting.attention.uses import is_assertion, is_dead
from graphlab.rewriting.draft import Draft
from graphlab.rewriting.memory import Known, Relayout, lies_same, relayout
from graphlab.rewriting.rewrite import Rewrite

aten = torch.ops.aten
Node = torch.fx.Node

Terms: TypeAlias = "Mapping[tuple[int, int], float]"
"""A polynomial in x and a bent value e: {(power of x, power of e): coefficient}."""

_ROOT_HALF = math.sqrt(0.5)
_ROOT = math.sqrt(2 / math.pi)
_GELU: Terms = {(1, 0): 0.5, (1, 1): 0.5}
"""x (1 + e) / 2."""
_ARGUMENTS: dict[Any, tuple[str, Terms]] = {
    aten.erf.default: ("none", {(1, 0): _ROOT_HALF}),
    aten.tanh.default: ("tanh", {(1, 0): _ROOT, (3, 0): _ROOT * 0.044715}),
}
"""{what bends: (`approximate` of aten.gelu, its argument)}: Hendrycks 2016, arXiv:1606.08415."""
_CLOSE = 1e-11
"""Relative difference of coefficients that rounding explains: programs write them with ten digits and more."""
_NEAR = 0.02
"""Relative difference of coefficients below which something else was hardly meant."""
_LONGEST = 12


@dataclass(frozen=True)
class FuseGelu(Rewrite):
    """x (1 + erf(x / sqrt 2)) / 2 and x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2 as `aten.gelu`, in any order of
    operations; x * sigmoid(alpha x) as `graphlab::quick_gelu`.

    Before: `e = aten.erf(aten.div(x, 1.4142135623730951)); y = aten.mul(aten.mul(x, 0.5), aten.add(e, 1.0))`
    After:  `y = aten.gelu(x)`

    Stays: other coefficients, and those written with few digits; a value inside that something else reads; silu.
    """

    name: ClassVar[str] = "fuse-gelu"

    def apply(self, draft: Draft) -> None:
        """Asks about every erf, tanh and sigmoid."""
        known: Known = {}
        for bent in draft.calls(*_ARGUMENTS, aten.sigmoid.default):
            found = _quick(bent) if bent.target is aten.sigmoid.default else _gelu(bent)
            reason = _fuse(found, draft, known) if isinstance(found, _Found) else found
            if reason is not None:
                draft.skip(bent, reason)


@dataclass(frozen=True, slots=True)
class _Found:
    """`end` is a GELU of x, approximated as `approximate` says, or where that is a number by x sigmoid(it x)."""

    x: Node
    end: Node
    approximate: str | float


def _fuse(found: _Found, draft: Draft, known: Known) -> str | None:
    """Writes the operator; a str is why readers do not take the result as it lies."""
    if isinstance(found.approximate, str):
        new = draft.call(aten.gelu.default, found.x, at=found.end, approximate=found.approximate)
    else:
        new = draft.call(QUICK_GELU, found.x, found.approximate, at=found.end)
    follows: Relayout | str | None = None
    if not lies_same(new.meta["val"], found.end.meta["val"]):
        follows = relayout(draft.mode, {found.end: new.meta["val"]}, known)
    if isinstance(follows, str):
        draft.sweep()
        return follows
    drop_assertions(draft, found.end)
    draft.replace(found.end, new, "GELU written out")
    if follows is not None:
        follows.write()
    return None


def _gelu(bent: Node) -> _Found | str | None:
    """The GELU around an erf or a tanh, why it is none, None for a value of another use."""
    approximate, wanted = _ARGUMENTS[bent.target]
    argument = bent.args[0]
    assert isinstance(argument, Node)
    near: str | None = None
    for x in _below(argument):
        terms = _terms(argument, {x: {(1, 0): 1.0}})
        if terms is None or not _agree(terms, wanted, _NEAR):
            continue
        found = _end(bent, x)
        if not isinstance(found, Node):
            near = near or found
        elif not _agree(terms, wanted, _CLOSE):
            near = near or f"its argument is {_spelled(terms)}, a GELU's {_spelled(wanted)}"
        else:
            others = _read_elsewhere(found, {x, bent})
            return others or _Found(x, found, approximate)
    return near


def _quick(gate: Node) -> _Found | str | None:
    """The quick GELU around a sigmoid, why it is none, None for a gate of another use."""
    argument = gate.args[0]
    assert isinstance(argument, Node)
    for x in _below(argument):
        terms = _terms(argument, {x: {(1, 0): 1.0}})
        if x is argument or terms is None or terms.keys() != {(1, 0)}:
            continue
        ends = [user for user in gate.users if user.target is aten.mul.Tensor and set(user.args) == {gate, x}]
        if not ends:
            continue
        others = _read_elsewhere(ends[0], {x, gate})
        return others or _Found(x, ends[0], terms[1, 0])
    return None


def _below(node: Node) -> Iterator[Node]:
    """`node` and what it is arithmetic of, outermost first."""
    seen, pending = {node}, [node]
    while pending and len(seen) < _LONGEST:
        item = pending.pop(0)
        if _is_floating(item):
            yield item
        if _is_arithmetic(item):
            fresh = [source for source in item.all_input_nodes if source not in seen]
            seen.update(fresh)
            pending.extend(fresh)


def _end(bent: Node, x: Node) -> Node | str | None:
    """x (1 + bent) / 2 in the arithmetic after `bent`; a str where that is read but no such value comes of it."""
    known: dict[Node, Terms] = {x: {(1, 0): 1.0}, bent: {(0, 1): 1.0}}
    node, last = bent, None
    for _ in range(_LONGEST):
        readers = _readers(node)
        if len(readers) != 1 or not _is_arithmetic(readers[0]):
            break
        node = readers[0]
        terms = _terms(node, known)
        if terms is None:
            break
        last = terms
        if _agree(terms, _GELU, _CLOSE):
            return node
    if last is None and len(_readers(bent)) > 1:
        return f"{bent} is read by {len(_readers(bent))} others"
    return f"it ends as {_spelled(last)}" if last is not None and (1, 1) in last else None


def _readers(node: Node) -> list[Node]:
    return [user for user in node.users if not is_assertion(user) and not is_dead(user)]


_ADDS = (aten.add.Tensor, aten.add.Scalar, aten.sub.Tensor, aten.sub.Scalar)
_TIMES = (aten.mul.Tensor, aten.mul.Scalar)
_DIVIDES = (aten.div.Tensor, aten.div.Scalar)
_POWERS = (aten.pow.Tensor_Scalar, aten.square.default)


def _is_floating(node: Node) -> bool:
    value = node.meta.get("val")
    return isinstance(value, torch.Tensor) and value.is_floating_point()


def _is_arithmetic(node: Node) -> bool:
    return node.target in (*_ADDS, *_TIMES, *_DIVIDES, *_POWERS, aten.neg.default) and _is_floating(node)


def _terms(value: Any, known: Mapping[Node, Terms], depth: int = _LONGEST) -> Terms | None:
    """`value` as a polynomial of the values `known`; None for anything else."""
    if isinstance(value, (int, float)):
        return {(0, 0): float(value)}
    if not isinstance(value, Node) or depth == 0:
        return None
    if value in known:
        return known[value]
    if not _is_arithmetic(value):
        return None
    first = _terms(value.args[0], known, depth - 1)
    if first is None:
        return None
    if value.target is aten.neg.default:
        return {power: -factor for power, factor in first.items()}
    if value.target in _POWERS:
        return _power(first, value.args[1] if len(value.args) > 1 else 2)
    second = _terms(value.args[1], known, depth - 1)
    return None if second is None else _combined(value, first, second)


def _combined(node: Node, first: Terms, second: Terms) -> Terms | None:
    if node.target in _TIMES:
        return _product(first, second)
    if node.target in _DIVIDES:
        number = second.get((0, 0), 0.0)
        fits = second.keys() == {(0, 0)} and number != 0 and not node.kwargs
        return _product(first, {(0, 0): 1 / number}) if fits else None
    if arguments(node)["alpha"] != 1:
        return None
    sign = -1 if node.target in (aten.sub.Tensor, aten.sub.Scalar) else 1
    total = dict(first)
    for power, factor in second.items():
        total[power] = total.get(power, 0.0) + sign * factor
    return {power: factor for power, factor in total.items() if factor != 0}


def _product(first: Terms, second: Terms) -> Terms:
    total: dict[tuple[int, int], float] = {}
    for (a, b), factor in first.items():
        for (c, d), other in second.items():
            total[a + c, b + d] = total.get((a + c, b + d), 0.0) + factor * other
    return total


def _power(base: Terms, exponent: Any) -> Terms | None:
    if exponent not in (2, 3):
        return None
    square = _product(base, base)
    return square if exponent == 2 else _product(square, base)


def _agree(terms: Terms, wanted: Terms, tolerance: float) -> bool:
    return terms.keys() == wanted.keys() and all(
        math.isclose(factor, wanted[power], rel_tol=tolerance) for power, factor in terms.items()
    )


def _spelled(terms: Terms) -> str:
    """A polynomial in words; e is the bent value."""
    words = []
    for (x, e), factor in sorted(terms.items()):
        powers = [name if power == 1 else f"{name}^{power}" for name, power in (("x", x), ("e", e)) if power]
        words.append(" ".join([f"{factor:.12g}", *powers]))
    return " + ".join(words)


def _read_elsewhere(end: Node, known: set[Node]) -> str | None:
    """What besides `end` reads a value between `known` and it; None when nothing does. The last of `known` goes too."""
    inside, pending = {end}, [end]
    while pending:
        for source in pending.pop().all_input_nodes:
            bent = source.target in (*_ARGUMENTS, aten.sigmoid.default)
            if source in inside or (source in known and not bent):
                continue
            inside.add(source)
            pending.append(source)
    for node in sorted(inside - {end}):
        others = [user for user in _readers(node) if user not in inside]
        if others:
            return f"{node} is read elsewhere, by {others[0]}"
    return None
