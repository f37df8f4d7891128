"""Additions of a residual before a norm: which of them a fused norm takes, and why it leaves others."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any

import torch

from graphlab.rewriting.arguments import arguments
from graphlab.rewriting.draft import Draft
from graphlab.rewriting.fake import same_shape

Node = torch.fx.Node
aten = torch.ops.aten


def fuse_norms_of_sums(
    draft: Draft,
    norms: Iterable[Node],
    fused: Any,
    unfit: Callable[[Node, Node], str | None],
    fuse: Callable[[Node, Node, Draft], None],
) -> None:
    """Calls `fuse(norm, sum, draft)` for each of `norms` that is of a sum, and says of others why not.

    `unfit(norm, sum)` says what else is in the way. `fused` is the operator that `fuse` writes; its second result is
    the sum, which no second norm takes.
    """
    for norm in norms:
        total = norm.args[0]
        assert isinstance(total, Node)
        if total.target is operator.getitem and _is_sum_of(total, fused):
            draft.skip(norm, f"the sum {total} is normed by {total.args[0]} already")
        elif total.target is aten.add.Tensor:
            reason = unfit_sum(total) or unfit(norm, total)
            if reason is not None:
                draft.skip(norm, reason)
            else:
                fuse(norm, total, draft)


def _is_sum_of(node: Node, fused: Any) -> bool:
    source, index = node.args
    return isinstance(source, Node) and source.target is fused and bool(index == 1)


def unfit_sum(total: Node) -> str | None:
    """Why the addition `total` is none of a residual of the same shape and dtype; None when it is one."""
    operands: Any = total.args[:2]
    values = [arg.meta["val"] if isinstance(arg, Node) else arg for arg in operands]
    first, second = values
    if not isinstance(first, torch.Tensor) or not isinstance(second, torch.Tensor):
        return f"{total} adds a number, not a residual"
    if arguments(total)["alpha"] != 1:
        return f"{total} scales the residual by {arguments(total)['alpha']}"
    left, right = operands
    if not same_shape(first, second):
        return f"{left} and {right} differ in shape: {tuple(first.shape)} and {tuple(second.shape)}"
    if first.dtype != second.dtype:
        return f"{left} and {right} differ in dtype: {first.dtype} and {second.dtype}"
    return None


def unfit_norm(norm: Node, total: Node) -> str | None:
    """Why `norm`, of the last axes of the sum `total`, cannot be made where the sum is; None when it can."""
    axes = len(arguments(norm)["normalized_shape"])
    if axes != 1:
        return f"it normalises the last {axes} axes, not the last alone"
    late = [node for node in norm.all_input_nodes if node is not total and node.op != "placeholder" and total < node]
    return f"{late[0]} is computed after the sum" if late else None
