"""How far a call's reads are from memory order: runs, and the distance to the rest of a cache line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphlab.graph import TensorSpec
from graphlab.kernels.data import Strided


@dataclass(frozen=True, slots=True)
class _Axis:
    size: int
    stride: int


def strided_reads(given: Sequence[TensorSpec], out: TensorSpec | None) -> Strided | None:
    """The largest of the tensors `given` that is not read in memory order when `out` is written in its own.

    Elements are visited in the memory order of `out` where the shapes agree, in logical order otherwise (a reshape
    visits its input so). None where every tensor is read front to back. Sizes are integers.
    """
    found: Strided | None = None
    for spec in given:
        reads = _reads(spec, out)
        if reads is not None and (found is None or reads.nbytes > found.nbytes):
            found = reads
    return found


def _reads(spec: TensorSpec, out: TensorSpec | None) -> Strided | None:
    if 0 in spec.shape:
        return None
    axes = _visited(spec, out)
    run, inner = _innermost_run(axes)
    if inner == len(axes):
        return None
    step = axes[inner].stride * spec.itemsize
    return Strided(spec.distinct_bytes, run * spec.itemsize, _reuse(axes, inner), step)


def _visited(spec: TensorSpec, out: TensorSpec | None) -> list[_Axis]:
    """Axes of `spec` that move through memory, innermost first, in the order in which `out` is written."""
    order = range(len(spec.shape))
    if out is not None and out.shape == spec.shape and out.numel:
        order = sorted(order, key=lambda axis: -out.stride[axis])  # type: ignore[assignment]  # a list serves too
    axes = [_Axis(spec.shape[axis], spec.stride[axis]) for axis in order]
    return [axis for axis in reversed(axes) if axis.size > 1 and axis.stride != 0]


def _innermost_run(axes: Sequence[_Axis]) -> tuple[int, int]:
    """(contiguous elements of one run, how many of the innermost axes make it up)."""
    run = 1
    for index, axis in enumerate(axes):
        if axis.stride != run:
            return run, index
        run *= axis.size
    return run, len(axes)


def _reuse(axes: Sequence[_Axis], inner: int) -> int:
    """Runs visited before the run that continues in memory: the sizes of the axes inside the one that continues it."""
    run = 1
    for axis in axes[:inner]:
        run *= axis.size
    between = 1
    for axis in axes[inner:]:
        if axis.stride == run:
            return between
        between *= axis.size
    return 0
