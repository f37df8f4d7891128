"""Splitting an axis: one Split, where torch's exporter makes a sequence and reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from graphlab.exporting.contrib import node
from graphlab.exporting.targets import Target
from graphlab.fused.registry import opset18

aten = torch.ops.aten


def split_with_sizes(x: Any, split_sizes: Sequence[Any], dim: int = 0) -> Any:
    """Split; sizes are integers, or values where they depend on the inputs."""
    op = opset18()

    if all(isinstance(size, int) for size in split_sizes):
        sizes = op.Constant(value_ints=list(split_sizes))
    else:
        one = op.Constant(value_ints=[-1])
        pieces = [op.Constant(value_ints=[s]) if isinstance(s, int) else op.Reshape(s, one) for s in split_sizes]
        sizes = op.Concat(*pieces, axis=0)
    made = node("", "Split", (x, sizes), {"axis": dim}, outputs=len(split_sizes))
    return made if isinstance(made, tuple) else (made,)


def translations(_: Target) -> Mapping[Callable[..., Any], Callable[..., Any]]:
    """Those of splits, the same for every target."""
    return {aten.split_with_sizes.default: split_with_sizes}
