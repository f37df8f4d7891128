"""Queries, keys and values traced back through layout, casts and scales to where they come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from graphlab.rewriting.attention.arrange import canonical
from graphlab.rewriting.attention.axes import Axis, Dims, Unmatched, equal, note_sizes, regrouped, shape_of
from graphlab.rewriting.attention.constants import Known
from graphlab.rewriting.attention.match import Match, Operand, moved
from graphlab.rewriting.attention.path import LAYOUT, is_cast
from graphlab.rewriting.draft import Draft

aten = torch.ops.aten
_REGROUPED = frozenset({
    aten.view.default, aten.reshape.default, aten._unsafe_view.default, aten.flatten.using_ints, aten.unflatten.int,
    aten.unsqueeze.default, aten.squeeze.default, aten.squeeze.dim, aten.squeeze.dims, aten.view_copy.default,
    aten.unsqueeze_copy.default, aten.squeeze_copy.dim,
})  # fmt: skip
_COPIES = (aten.clone.default, aten.contiguous.default, aten.alias.default)


@dataclass(frozen=True, slots=True)
class Origin:
    """A place an operand can be taken from: times `scale`, through `casts` widening casts, it is the operand."""

    node: torch.fx.Node
    dims: Dims
    scale: float = 1.0
    scales: int = 0
    casts: int = 0


def origins(draft: Draft, operand: Operand, known: Known, *, scaled: bool) -> list[Origin]:
    """Where `operand` may be taken from, nearest first; with `scaled` multiplications by a number are passed, too."""
    found = [Origin(operand.node, operand.dims)]
    while True:
        last = found[-1]
        node = last.node
        if node.op != "call_function":
            return found
        step = _upstream(last, known, scaled)
        if step is None:
            return found
        note_sizes(step.node, step.dims)
        found.append(step)


def _upstream(last: Origin, known: Known, scaled: bool) -> Origin | None:
    node = last.node
    source = node.args[0] if node.args else None
    if not isinstance(source, torch.fx.Node) or not isinstance(source.meta.get("val"), torch.Tensor):
        return None
    if node.target in LAYOUT:
        try:
            dims = before(node, source, last.dims)
        except Unmatched:
            return None
        return Origin(source, dims, last.scale, last.scales, last.casts)
    if node.target in _COPIES:
        return Origin(source, last.dims, last.scale, last.scales, last.casts)
    if is_cast(node):
        widened = _widens(source.meta["val"].dtype, node.meta["val"].dtype)
        return Origin(source, last.dims, last.scale, last.scales, last.casts + 1) if widened else None
    factor = _factor(node, known) if scaled else None
    if factor is None:
        return None
    return Origin(source, last.dims, last.scale * factor, last.scales + 1, last.casts)


def _factor(node: torch.fx.Node, known: Known) -> float | None:
    """The number `node` multiplies its first argument by; None for any other operator."""
    if node.target not in (aten.mul.Tensor, aten.mul.Scalar, aten.div.Tensor, aten.div.Scalar):
        return None
    source = node.args[0]
    assert isinstance(source, torch.fx.Node)
    factor = known.number(node.args[1])
    if factor is None or factor <= 0 or node.meta["val"].dtype != source.meta["val"].dtype:
        return None
    if not all(equal(a, b) for a, b in zip(shape_of(node), shape_of(source), strict=True)):
        return None
    return 1 / factor if node.target in (aten.div.Tensor, aten.div.Scalar) else factor


def _widens(old: torch.dtype, new: torch.dtype) -> bool:
    """Whether every value of `old` is one of `new`."""
    return old.is_floating_point and new.is_floating_point and torch.promote_types(old, new) == new and old != new


def before(node: torch.fx.Node, source: torch.fx.Node, dims: Dims) -> Dims:
    """The axes of `source` where `node`, a layout operator on it, has the axes `dims`."""
    if node.target in _REGROUPED or node.target in (aten.view_as.default, aten.reshape_as.default):
        return regrouped(dims, shape_of(source), split=False)
    if node.target in (aten.expand.default, aten.expand_as.default):
        own = dims[len(dims) - source.meta["val"].dim() :]
        sizes = zip(own, shape_of(source), strict=True)
        return [() if equal(size, 1) else axes for axes, size in sizes]
    return _unpermuted(node, dims)


def _unpermuted(node: torch.fx.Node, dims: Dims) -> Dims:
    """`dims` before the permutation `node`."""
    marks: Dims = [(Axis(0),) for _ in dims]
    after = moved(node, marks)
    return [dims[after.index(mark)] for mark in marks]


def nearest(found: list[Origin], target: Dims, *, casts: int) -> Origin:
    """The best place to take an operand from: as many scales passed as possible, no relayout where one can be spared.

    `casts` is how many widening casts may be passed at most.
    """
    allowed = [origin for origin in found if origin.casts <= casts]
    most = max(origin.scales for origin in allowed)
    best = [origin for origin in allowed if origin.scales == most and origin.casts == allowed[-1].casts]
    best = best or [origin for origin in allowed if origin.scales == most]
    return next((origin for origin in best if canonical(origin.dims, target)), best[-1])


def head_split(draft: Draft, found: Match, known: Known) -> None:
    """Splits the only batch axis where a view upstream folded heads into it; else leaves it whole."""
    if len(found.batch) != 1:
        return
    for operand in (found.query, found.key, found.value):
        for last in origins(draft, operand, known, scaled=True):
            if _splits_batch(draft, last, found.batch[0]):
                found.refresh()
                return


def _splits_batch(draft: Draft, last: Origin, batch: Axis) -> bool:
    """Whether `last` is a view of something whose first two dimensions are `batch`; splits it if so."""
    node = last.node
    source = node.args[0] if node.op == "call_function" and node.args else None
    if node.target not in _REGROUPED or not isinstance(source, torch.fx.Node) or not last.dims:
        return False
    shape, inner = shape_of(node), shape_of(source)
    if last.dims[0] != (batch,) or len(inner) != len(shape) + 1 or equal(inner[0], 1) or equal(inner[1], 1):
        return False
    if not all(equal(a, b) for a, b in zip(shape[1:], inner[2:], strict=True)):
        return False
    try:
        dims = regrouped(last.dims, inner)
    except Unmatched:
        return False
    note_sizes(source, dims)
    return True


def dtype_of(node: torch.fx.Node) -> torch.dtype:
    """The dtype of `node`'s value."""
    dtype: Any = node.meta["val"].dtype
    assert isinstance(dtype, torch.dtype)
    return dtype
