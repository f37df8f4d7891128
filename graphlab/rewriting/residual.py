"""Additions of a residual before a norm, and why some are none that a fused norm takes."""

from __future__ import annotations

from typing import Any

import torch

from graphlab.rewriting.arguments import arguments
from graphlab.rewriting.fake import same_shape

Node = torch.fx.Node


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
