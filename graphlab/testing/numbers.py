"""Results of two programs beside each other, and what differs in words."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils import _pytree


def compare(expected: Any, found: Any, tolerance: float) -> str | None:
    """How `found` differs from `expected`, nested results of tensors; None where it does not.

    Values may differ by `tolerance`, relative and absolute; NaN equals NaN, shapes and dtypes are the same.
    """
    wanted, got = _leaves(expected), _leaves(found)
    if len(wanted) != len(got):
        return f"{len(got)} results, expected {len(wanted)}"
    for index, (left, right) in enumerate(zip(wanted, got, strict=True)):
        problem = _differ(left, right, tolerance)
        if problem is not None:
            return f"result {index} {problem}"
    return None


def _leaves(value: Any) -> list[Any]:
    return list(_pytree.tree_leaves(value))


def _differ(left: Any, right: Any, tolerance: float) -> str | None:
    if not isinstance(left, torch.Tensor) or not isinstance(right, torch.Tensor):
        return None if type(left) is type(right) and left == right else f"is {right!r}, expected {left!r}"
    if (left.shape, left.dtype) != (right.shape, right.dtype):
        return f"is {_described(right)}, expected {_described(left)}"
    if torch.allclose(left.to(_wide(left)), right.to(_wide(right)), rtol=tolerance, atol=tolerance, equal_nan=True):
        return None
    far = (left.to(_wide(left)) - right.to(_wide(right))).abs()
    worst = float(far[~far.isnan()].max()) if bool((~far.isnan()).any()) else float("nan")
    if not torch.equal(left.isnan(), right.isnan()):
        return "has NaN in other places"
    return f"differs by up to {worst:.3g}, allowed {tolerance:g}"


def _wide(value: torch.Tensor) -> torch.dtype:
    return torch.complex128 if value.is_complex() else torch.float64


def _described(value: torch.Tensor) -> str:
    return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"


def inputs_of(args: tuple[Any, ...]) -> str:
    """The shapes of arguments, in words."""
    shown = [_described(item) if isinstance(item, torch.Tensor) else type(item).__name__ for item in _leaves(args)]
    return ", ".join(shown) or "no arguments"
