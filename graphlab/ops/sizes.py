"""Arithmetic on sizes that may be sympy: products, broadcasting, and the overload names rules register under."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from graphlab.graph import Dim, TensorSpec


def aten(names: str, *overloads: str) -> tuple[str, ...]:
    """Overload names: aten("add add_", "Tensor") is aten.add.Tensor and aten.add_.Tensor; "default" when none."""
    return tuple(f"aten.{name}.{overload}" for name in names.split() for overload in overloads or ("default",))


def product(sizes: Iterable[Dim]) -> Dim:
    """Product of `sizes`; 1 when there are none."""
    total: Dim = 1
    for size in sizes:
        total = total * size
    return total


def is_one(size: Dim) -> bool:
    """Whether `size` is the constant 1: capture specialises axes of size 1, so a symbol is never 1."""
    return isinstance(size, int) and size == 1


def broadcast(*shapes: Sequence[Dim]) -> tuple[Dim, ...]:
    """The right-aligned broadcast of `shapes`, which are known to be compatible; an int is preferred to a symbol."""
    rank = max((len(shape) for shape in shapes), default=0)
    return tuple(broadcast_size(shape[axis] for shape in shapes if len(shape) >= -axis) for axis in range(-rank, 0))


def broadcast_size(sizes: Iterable[Dim]) -> Dim:
    """The size that axes of `sizes` broadcast to."""
    chosen: Dim = 1
    for size in sizes:
        if not is_one(size) and (is_one(chosen) or not isinstance(chosen, int)):
            chosen = size
    return chosen


def split_dims(shape: Sequence[Dim], dim: Any) -> tuple[Dim, Dim]:
    """(elements left, elements reduced away) when `shape` is reduced over `dim` (int, ints, or None for all)."""
    rank = len(shape)
    if dim is None or (isinstance(dim, tuple) and not dim):
        return 1, product(shape)
    dims = {d % rank for d in (dim if isinstance(dim, tuple) else (dim,))} if rank else set()
    return (
        product(size for axis, size in enumerate(shape) if axis not in dims),
        product(size for axis, size in enumerate(shape) if axis in dims),
    )


def is_complex(value: Any) -> bool:
    """Whether `value` is a tensor of complex numbers."""
    return isinstance(value, TensorSpec) and value.dtype.startswith("complex")


def first(out: Any) -> TensorSpec:
    """The first tensor of `out`, which is a TensorSpec or a tuple of them."""
    spec = out[0] if isinstance(out, tuple) else out
    assert isinstance(spec, TensorSpec)
    return spec
