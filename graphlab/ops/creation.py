"""Ops that make a tensor from numbers: ranges, constants, random numbers. Written, nothing read, nothing counted.

Filling memory is not arithmetic here, and the work of a random generator is not modelled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphlab.graph import Dim, TensorSpec
from graphlab.ops.rule import RuleBody, Work, op
from graphlab.ops.sizes import aten


def _unread(*given: Any, out: Any, **options: Any) -> Dim:
    """Nothing is read: the tensor argument lends its shape or dtype only."""
    return 0


def _create(*targets: str, empty: bool = False) -> Callable[[RuleBody], RuleBody]:
    return op(
        *targets,
        category="movement",
        axes="create",
        bytes_read=_unread,
        bytes_written=_unread if empty else None,
    )


@_create("aten.arange.default")
def arange(
    end: Any, *, dtype: Any = None, layout: Any = None, device: Any = None, pin_memory: Any = None, out: TensorSpec
) -> Work:
    """Written."""
    return Work()


@_create("aten.arange.start")
def arange_start(
    start: Any,
    end: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: Any = None,
    out: TensorSpec,
) -> Work:
    """Written."""
    return Work()


@_create("aten.arange.start_step")
def arange_start_step(
    start: Any,
    end: Any,
    step: Any = 1,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: Any = None,
    out: TensorSpec,
) -> Work:
    """Written."""
    return Work()


@_create(
    "aten.linspace.default", "aten.linspace.Tensor_Tensor", "aten.linspace.Tensor_Scalar", "aten.linspace.Scalar_Tensor"
)
def linspace(
    start: Any,
    end: Any,
    steps: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: Any = None,
    out: TensorSpec,
) -> Work:
    """Written."""
    return Work()


@_create("aten.logspace.default")
def logspace(
    start: Any,
    end: Any,
    steps: Any,
    base: float = 10.0,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: Any = None,
    out: TensorSpec,
) -> Work:
    """Written."""
    return Work()


@_create(*aten("zeros ones rand randn"))
def zeros(
    size: Any, *, dtype: Any = None, layout: Any = None, device: Any = None, pin_memory: Any = None, out: TensorSpec
) -> Work:
    """Written."""
    return Work()


@_create("aten.full.default")
def full(
    size: Any,
    fill_value: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: Any = None,
    out: TensorSpec,
) -> Work:
    """Written."""
    return Work()


@_create("aten.empty.memory_format", empty=True)
def empty(
    size: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: Any = None,
    memory_format: Any = None,
    out: TensorSpec,
) -> Work:
    """Neither read nor written."""
    return Work()


@_create("aten.empty_permuted.default", empty=True)
def empty_permuted(
    size: Any,
    physical_layout: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: Any = None,
    out: TensorSpec,
) -> Work:
    """Neither read nor written."""
    return Work()


@_create("aten.empty_strided.default", empty=True)
def empty_strided(
    size: Any,
    stride: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: Any = None,
    out: TensorSpec,
) -> Work:
    """Neither read nor written."""
    return Work()


@_create(*aten("zeros_like ones_like rand_like randn_like"))
@_create("aten.empty_like.default", empty=True)
def zeros_like(
    self: TensorSpec,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: Any = None,
    memory_format: Any = None,
    out: TensorSpec,
) -> Work:
    """Written (empty_like is not); `self` lends its shape only."""
    return Work()


@_create("aten.full_like.default")
def full_like(
    self: TensorSpec,
    fill_value: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: Any = None,
    memory_format: Any = None,
    out: TensorSpec,
) -> Work:
    """Written; `self` lends its shape only."""
    return Work()


@_create(*aten("new_zeros new_ones"))
@_create("aten.new_empty.default", empty=True)
def new_zeros(
    self: TensorSpec,
    size: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: Any = None,
    out: TensorSpec,
) -> Work:
    """Written (new_empty is not); `self` lends its dtype only."""
    return Work()


@_create("aten.new_full.default")
def new_full(
    self: TensorSpec,
    size: Any,
    fill_value: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: Any = None,
    out: TensorSpec,
) -> Work:
    """Written; `self` lends its dtype only."""
    return Work()


@_create("aten.scalar_tensor.default")
def scalar_tensor(
    s: Any, *, dtype: Any = None, layout: Any = None, device: Any = None, pin_memory: Any = None, out: TensorSpec
) -> Work:
    """Written."""
    return Work()


@_create("aten.eye.default")
def eye(
    n: Any, *, dtype: Any = None, layout: Any = None, device: Any = None, pin_memory: Any = None, out: TensorSpec
) -> Work:
    """Written."""
    return Work()


@_create("aten.eye.m")
def eye_m(
    n: Any,
    m: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: Any = None,
    out: TensorSpec,
) -> Work:
    """Written."""
    return Work()


@_create(*aten("tril_indices triu_indices"))
def tril_indices(
    row: Any,
    col: Any,
    offset: int = 0,
    *,
    dtype: Any = "torch.int64",
    layout: Any = None,
    device: Any = None,
    pin_memory: Any = None,
    out: TensorSpec,
) -> Work:
    """Written."""
    return Work()


@_create("aten.randint.default")
def randint(
    high: Any,
    size: Any,
    *,
    dtype: Any = "torch.int64",
    layout: Any = None,
    device: Any = None,
    pin_memory: Any = None,
    out: TensorSpec,
) -> Work:
    """Written."""
    return Work()


@_create("aten.randint.low")
def randint_low(
    low: Any,
    high: Any,
    size: Any,
    *,
    dtype: Any = "torch.int64",
    layout: Any = None,
    device: Any = None,
    pin_memory: Any = None,
    out: TensorSpec,
) -> Work:
    """Written."""
    return Work()


@_create("aten.randperm.default")
def randperm(
    n: Any,
    *,
    dtype: Any = "torch.int64",
    layout: Any = None,
    device: Any = None,
    pin_memory: Any = None,
    out: TensorSpec,
) -> Work:
    """Written."""
    return Work()
