"""Results whose shape is plain, without asking torch: on symbolic sizes its answer takes tens of milliseconds.

Only for contiguous operands, whose results ATen makes contiguous too, and only where sizes are equal as written;
anything else is torch's to infer and to guard.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import sympy
import torch

SAME = frozenset(
    f"aten.{name}"
    for name in (
        "layer_norm.default", "group_norm.default", "rms_norm.default", "instance_norm.default", "softmax.int",
        "gelu.default", "silu.default", "sigmoid.default",
    )
)  # fmt: skip
"""Operators whose result has the shape and dtype of their first operand."""

Empty = Callable[[Sequence[Any], torch.dtype], torch.Tensor]


def shortcut(target: str, args: Sequence[Any], empty: Empty) -> torch.Tensor | None:
    """The fake result of a call on contiguous operands; None where torch must say.

    `empty` makes contiguous fake tensors, the same object for the same shape and dtype.
    """
    first = args[0] if args else None
    if not isinstance(first, torch.Tensor) or empty(first.shape, first.dtype) is not first:
        return None
    if target in SAME:
        return first
    if target == "aten.reshape.default":
        return _reshape(first, args[1], empty)
    if target == "aten.matmul.default" and isinstance(args[1], torch.Tensor):
        return _matmul(first, args[1], empty)
    return None


def _reshape(value: torch.Tensor, sizes: Sequence[Any], empty: Empty) -> torch.Tensor | None:
    whole = _expr(math.prod(value.shape))
    inferred = [i for i, size in enumerate(sizes) if isinstance(size, int) and size == -1]
    given = math.prod(size for i, size in enumerate(sizes) if i not in inferred)
    if len(inferred) > 1 or any(isinstance(size, int) and size < -1 for size in sizes):
        return None
    if not inferred:
        return empty(sizes, value.dtype) if sympy.expand(whole - _expr(given)) == 0 else None
    rest = _quotient(value.shape, [size for i, size in enumerate(sizes) if i not in inferred])
    if rest is None:
        return None
    return empty([rest if i in inferred else size for i, size in enumerate(sizes)], value.dtype)


def _quotient(sizes: Sequence[Any], divisors: Sequence[Any]) -> Any:
    """The product of `sizes` over that of `divisors`, where the divisors are among them; None elsewhere."""
    left = list(sizes)
    number = 1
    for divisor in divisors:
        match = next((i for i, size in enumerate(left) if _expr(size) == _expr(divisor)), None)
        if match is not None:
            del left[match]
        elif isinstance(divisor, int):
            number *= divisor
        else:
            return None
    numbers = math.prod(size for size in left if isinstance(size, int))
    if number == 0 or numbers % number:
        return None
    return math.prod((size for size in left if not isinstance(size, int)), start=numbers // number)


def _matmul(a: torch.Tensor, b: torch.Tensor, empty: Empty) -> torch.Tensor | None:
    if a.dim() < 2 or b.dim() < 2 or a.dtype != b.dtype or _expr(a.shape[-1]) != _expr(b.shape[-2]):
        return None
    lead = a.shape[:-2]
    if b.dim() > 2 and list(map(_expr, lead)) != list(map(_expr, b.shape[:-2])):
        return None
    return empty([*lead, a.shape[-2], b.shape[-1]], a.dtype)


def _expr(size: Any) -> Any:
    return size.node.expr if isinstance(size, torch.SymInt) else sympy.Integer(size)
