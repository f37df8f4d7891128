"""Splitting an axis: one Split, where torch's exporter makes a sequence and reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from graphlab.exporting.contrib import node
from graphlab.exporting.targets import Target
from graphlab.fused.registry import opset18

aten = torch.ops.aten


def split_with_sizes(x: Any, split_sizes: Sequence[int], dim: int = 0) -> Any:
    """Split; sizes are integers (`graphlab.exporting.prepare` sees to that)."""
    op = opset18()

    sizes = op.Constant(value_ints=list(split_sizes))
    made = node("", "Split", (x, sizes), {"axis": dim}, outputs=len(split_sizes))
    return made if isinstance(made, tuple) else (made,)


def translations(_: Target) -> Mapping[Callable[..., Any], Callable[..., Any]]:
    """Those of splits, the same for every target."""
    return {aten.split_with_sizes.default: split_with_sizes}
