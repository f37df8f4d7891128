"""`graphlab::reshape`: a reshape in ONNX's words, 0 for a size that stays and -1 for one that follows.

A view to sizes that depend on inputs would otherwise be written as reads of each of them and their concatenation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from graphlab.fused.registry import opset18


def _sizes(x: torch.Tensor, sizes: Sequence[Any]) -> list[Any]:
    return [x.shape[index] if isinstance(size, int) and size == 0 else size for index, size in enumerate(sizes)]


@torch.library.custom_op("graphlab::reshape", mutates_args=(), schema="(Tensor x, SymInt[] sizes) -> Tensor")
def reshape(x: torch.Tensor, sizes: Sequence[Any]) -> torch.Tensor:
    """x (*a) to a tensor of `sizes`: 0 keeps the size x has there, one -1 is what is left."""
    return x.reshape(_sizes(x, sizes)).clone()


@reshape.register_fake
def _(x: torch.Tensor, sizes: Sequence[Any]) -> torch.Tensor:
    return x.reshape(_sizes(x, sizes)).clone()


RESHAPE = torch.ops.graphlab.reshape.default


def onnx(x: Any, sizes: Sequence[Any]) -> Any:
    """Reshape; sizes that are values become one tensor with the others."""
    op = opset18()

    if all(isinstance(size, int) for size in sizes):
        return op.Reshape(x, op.Constant(value_ints=list(sizes)))
    pieces = [
        op.Constant(value_ints=[s]) if isinstance(s, int) else op.Reshape(s, op.Constant(value_ints=[-1]))
        for s in sizes
    ]
    return op.Reshape(x, op.Concat(*pieces, axis=0))
