"""Writes a tensor whose axes are known in another arrangement of the same axes: view, permute, expand, reshape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from graphlab.rewriting.attention.axes import Axis, Dims, Unmatched, dims_of, leaves, written
from graphlab.rewriting.draft import Draft, Size

aten = torch.ops.aten


def rearranged(
    draft: Draft, node: torch.fx.Node, dims: Dims, target: Dims, *, at: torch.fx.Node, stretch: bool
) -> torch.fx.Node:
    """`node`, with axes `dims`, as a tensor with the dimensions `target`.

    An axis of `target` that `node` lacks is stretched to its size with `stretch`; without, a dimension all of whose
    axes are lacking stays 1. Unmatched when the size of an axis cannot be written.
    """
    dims, target = dims_of(dims), dims_of(target)
    if dims == target or (not stretch and canonical(dims, target)):
        return node
    if canonical(dims, target):
        sizes = [-1 if own == axes else draft.product([written(axis, draft, at) for axis in axes], at=at)
                 for own, axes in zip(dims, target, strict=True)]  # fmt: skip
        return draft.call(aten.expand.default, node, sizes, at=at)
    node, order = _separated(draft, node, dims, at)
    present = set(order)
    wanted = [axis for axes in target for axis in axes if axis in present]
    if len(wanted) != len(order):
        raise Unmatched("an operand has an axis that the scores lack")
    if wanted != order:
        node = draft.call(aten.permute.default, node, [order.index(axis) for axis in wanted], at=at)
    partly = [axes for axes in target if any(a in present for a in axes) and not all(a in present for a in axes)]
    if partly or (stretch and any(axes and axes[0] not in present for axes in target)):
        keep_ones = () if stretch else [axes for axes in target if not any(a in present for a in axes)]
        node, wanted = _stretched(draft, node, wanted, target, keep_ones, at)
    return _grouped(draft, node, wanted, target, at)


def _separated(draft: Draft, node: torch.fx.Node, dims: Dims, at: torch.fx.Node) -> tuple[torch.fx.Node, list[Axis]]:
    """`node` with one dimension an axis, none of size 1; and the axes in order."""
    order = [axis for axes in dims for axis in axes]
    if all(len(axes) == 1 for axes in dims):
        return node, order
    if all(len(axes) <= 1 for axes in dims):
        for index in reversed([index for index, axes in enumerate(dims) if not axes]):
            node = draft.call(aten.squeeze.dim, node, index, at=at)
        return node, order
    return _reshaped(draft, node, [(axis,) for axis in order], at), order


def _stretched(
    draft: Draft, node: torch.fx.Node, order: list[Axis], target: Dims, keep: Sequence[Any], at: torch.fx.Node
) -> tuple[torch.fx.Node, list[Axis]]:
    """`node` with the axes it lacks inserted at their sizes, except those of the dimensions `keep`."""
    present = set(order)
    full = [axis for axes in target if axes not in keep for axis in axes]
    for index, axis in enumerate(full):
        if axis not in present:
            node = draft.call(aten.unsqueeze.default, node, index, at=at)
    sizes: list[Size] = [-1 if axis in present else written(axis, draft, at) for axis in full]
    return draft.call(aten.expand.default, node, sizes, at=at), full


def _grouped(draft: Draft, node: torch.fx.Node, order: list[Axis], target: Dims, at: torch.fx.Node) -> torch.fx.Node:
    """`node`, one dimension an axis in the order of `target`, with the dimensions of `target`."""
    present = set(order)
    groups = [tuple(axis for axis in axes if axis in present) for axes in target]
    if all(len(group) <= 1 for group in groups):
        for index, group in enumerate(groups):
            if not group:
                node = draft.call(aten.unsqueeze.default, node, index, at=at)
        return node
    return _reshaped(draft, node, groups, at)


def _reshaped(draft: Draft, node: torch.fx.Node, groups: Dims, at: torch.fx.Node) -> torch.fx.Node:
    """`node` reshaped to one dimension a group; one size that no value shows is left to torch."""
    sizes: list[Any] = []
    for group in groups:
        try:
            sizes.append(draft.product([written(axis, draft, at) for axis in group], at=at))
        except Unmatched:
            sizes.append(-1)
    moving = [index for index, size in enumerate(sizes) if isinstance(size, torch.fx.Node)]
    if sizes.count(-1) > 1:
        raise Unmatched("the sizes of two axes cannot be read off any value")
    if -1 not in sizes and len(moving) == 1:
        sizes[moving[0]] = -1  # one moving size need not be computed
    return draft.call(aten.reshape.default, node, sizes, at=at)


def canonical(dims: Dims, target: Dims) -> bool:
    """Whether `dims` are `target` up to dimensions that are stretched from 1."""
    return len(dims) == len(target) and all(a in ((), b) for a, b in zip(dims_of(dims), dims_of(target), strict=True))


def all_axes(dims: Dims) -> tuple[Axis, ...]:
    """The unsplit axes of `dims`, in order."""
    return leaves(axis for axes in dims for axis in axes)
