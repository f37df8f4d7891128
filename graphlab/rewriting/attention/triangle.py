"""Boolean triangles, read off how they are made, so that what is said of them holds at every size."""

from __future__ import annotations

from typing import Any

import torch

from graphlab.rewriting.attention.axes import equal, shape_of
from graphlab.rewriting.attention.path import LAYOUT, SAME_OPS

aten = torch.ops.aten


def triangle(node: torch.fx.Node, *, keeps: bool) -> int | None:
    """The diagonal up to which a boolean triangle keeps keys: 0 is causal; None for any other tensor.

    Read off how it is made (`tril`, `triu`, comparing two ranges from 0), so that it holds at every size.
    """
    while _keeps_triangle(node):
        node = node.args[0]  # type: ignore[assignment]  # an fx argument may be anything
    if node.target in (aten.logical_not.default, aten.bitwise_not.default):
        inner = node.args[0]
        if node.meta["val"].dtype != torch.bool:  # the bits of a number turned round are no negation
            return None
        return triangle(inner, keeps=not keeps) if isinstance(inner, torch.fx.Node) else None
    diagonal = node.args[1] if len(node.args) > 1 else node.kwargs.get("diagonal", 0)
    if node.target in (aten.tril.default, aten.triu.default):
        if not _ones(node.args[0]) or not isinstance(diagonal, int):
            return None
        if node.target is aten.tril.default and keeps and diagonal >= 0:
            return diagonal
        return diagonal - 1 if node.target is aten.triu.default and not keeps and diagonal >= 1 else None
    return _compared(node, keeps)


def _keeps_triangle(node: torch.fx.Node) -> bool:
    """Whether the last two dimensions of `node` are those of its argument, from their first element on."""
    if node.op != "call_function" or not node.args or not isinstance(node.args[0], torch.fx.Node):
        return False
    if node.target in SAME_OPS:
        return True
    rank = node.meta["val"].dim()
    if node.target is aten.unsqueeze.default:
        place = node.args[1]
        assert isinstance(place, int)
        return bool(place % rank <= rank - 3)
    if node.target is aten.slice.Tensor:
        start = node.args[2] if len(node.args) > 2 else 0
        return bool(start in (0, None)) and bool(len(node.args) < 5 or node.args[4] == 1)
    if node.target is aten.expand.default:
        inner = shape_of(node.args[0])
        same = zip(shape_of(node)[-2:], inner[-2:], strict=False)
        return len(inner) >= 2 and all(equal(a, b) for a, b in same)
    return False


def _ones(node: Any) -> bool:
    """Whether `node` is a tensor of ones, or of True."""
    if not isinstance(node, torch.fx.Node) or node.op != "call_function":
        return False
    if node.target in (aten.ones.default, aten.ones_like.default):
        return True
    if node.target in (aten.full.default, aten.full_like.default):
        return node.args[1] in (1, True)
    return node.target in SAME_OPS and _ones(node.args[0])


def _compared(node: torch.fx.Node, keeps: bool) -> int | None:
    """`key position <= query position`, written either way round."""
    names = {aten.le.Tensor: ("k", "q", True), aten.ge.Tensor: ("q", "k", True),
             aten.gt.Tensor: ("k", "q", False), aten.lt.Tensor: ("q", "k", False)}  # fmt: skip
    if node.target not in names or len(node.args) < 2:
        return None
    first, second, kept = names[node.target]
    places = {first: _range_axis(node.args[0]), second: _range_axis(node.args[1])}
    return 0 if kept is keeps and places == {"k": -1, "q": -2} else None


def _range_axis(node: Any) -> int | None:
    """The axis (from the right) along which `node` counts 0, 1, 2, ...; None for any other tensor."""
    if not isinstance(node, torch.fx.Node) or not isinstance(node.meta.get("val"), torch.Tensor):
        return None
    base, shape = node, shape_of(node)
    while base.op == "call_function" and (base.target in LAYOUT or base.target in SAME_OPS):
        if base.target in (aten.expand.default, aten.expand_as.default, *_TURNING):
            return None if base.target not in _TURNING else _turned(node, base, shape)
        base = base.args[0]  # type: ignore[assignment]  # an fx argument may be anything
    if not _counts(base):
        return None
    long = [index - len(shape) for index, size in enumerate(shape) if not equal(size, 1)]
    return long[0] if len(long) == 1 else None


_TURNING = (aten.view.default, aten.reshape.default)


def _turned(node: torch.fx.Node, base: torch.fx.Node, shape: list[Any]) -> int | None:
    """A view of a range that only adds dimensions of size 1."""
    inner = base.args[0]
    if not isinstance(inner, torch.fx.Node) or not _counts(inner):
        return None
    long = [index - len(shape) for index, size in enumerate(shape) if not equal(size, 1)]
    return long[0] if len(long) == 1 and equal(shape[long[0]], shape_of(inner)[0]) else None


def _counts(node: torch.fx.Node) -> bool:
    """Whether `node` is arange(n): 0, 1, 2, ..."""
    if node.target is aten.arange.default:
        return True
    if node.target is aten.arange.start:
        return bool(node.args[0] == 0)
    if node.target is not aten.arange.start_step:
        return False
    return bool(node.args[0] == 0 and (len(node.args) < 3 or node.args[2] == 1))
