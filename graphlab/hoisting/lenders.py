"""Tensors made like another one read its shape and nothing else: `ones_like(x)` becomes `full(sizes of x, 1)`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from graphlab.hoisting.levels import Level, free_symbols
from graphlab.rewriting.draft import Draft

Node = torch.fx.Node
aten = torch.ops.aten

WHY = "reads the shape of its argument alone"
_LIKE: Mapping[Any, int] = {aten.zeros_like.default: 0, aten.ones_like.default: 1}
_NEW: Mapping[Any, int] = {aten.new_zeros.default: 0, aten.new_ones.default: 1}


def free_of_data(draft: Draft, level: Mapping[Node, Level]) -> int:
    """Replaces tensors made like a stepping one by tensors of those sizes; returns how many.

    One made in another memory order than the contiguous stays, as do tensors without values and random ones.
    """
    count = 0
    for node in draft.calls():
        if level.get(node) is not Level.STEP:
            continue
        found = _filled(draft, node)
        value = node.meta.get("val")
        if found is None or not isinstance(value, torch.Tensor) or not value.is_contiguous():
            continue
        sizes, fill = found
        made = draft.call(aten.full.default, sizes, fill, at=node, dtype=value.dtype, device=value.device)
        draft.replace(node, made, WHY)
        count += 1
    return count


def _filled(draft: Draft, node: Node) -> tuple[Any, Any] | None:
    """(sizes, number) of a tensor made like another; None for other calls."""
    lender = node.args[0] if node.args else None
    if not isinstance(lender, torch.fx.Node):
        return None
    if node.target in _LIKE or node.target is aten.full_like.default:
        fill = _LIKE.get(node.target, node.args[1] if len(node.args) > 1 else None)
        sizes = draft.shape(lender) if isinstance(fill, (int, float)) and free_symbols(fill) == set() else None
        return (sizes, fill) if sizes is not None else None
    if node.target in _NEW:
        return node.args[1], _NEW[node.target]
    if node.target is aten.new_full.default and isinstance(node.args[2], (int, float)):
        return node.args[1], node.args[2]
    return None
