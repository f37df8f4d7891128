"""Ops that write into part of a tensor: index_put, scatter, slice_scatter, fill. In place, only that part moves."""

from __future__ import annotations

from typing import Any

from graphlab.graph import Dim, TensorSpec
from graphlab.ops.rule import Work, op, tensors
from graphlab.ops.sizes import aten, broadcast, product


def _indexed(self: TensorSpec, indices: Any) -> Dim:
    """Elements of `self` that `indices` address; all of them under a mask."""
    picked = tensors(indices)
    if any(index.dtype in ("bool", "uint8") for index in picked):
        return self.numel
    free = [size for axis, size in enumerate(self.shape) if axis >= len(indices) or indices[axis] is None]
    return product(broadcast(*(index.shape for index in picked))) * product(free)


def _put_read(self: TensorSpec, indices: Any, values: TensorSpec, accumulate: bool = False, *, out: TensorSpec) -> Dim:
    read: Dim = values.distinct_bytes
    for index in tensors(indices):
        read = read + index.distinct_bytes
    return read + (_indexed(self, indices) * self.itemsize if accumulate else 0)


def _put_written(
    self: TensorSpec, indices: Any, values: TensorSpec, accumulate: bool = False, *, out: TensorSpec
) -> Dim:
    return _indexed(self, indices) * self.itemsize


@op(*aten("index_put _unsafe_index_put"), category="movement", axes="same")
def index_put(self: TensorSpec, indices: Any, values: TensorSpec, accumulate: bool = False, *, out: TensorSpec) -> Work:
    """A copy with some elements replaced; with `accumulate` 1 an addressed element."""
    return Work(0, _indexed(self, indices) if accumulate else 0)


@op("aten.index_put_.default", category="movement", axes="same", bytes_read=_put_read, bytes_written=_put_written)
def index_put_(
    self: TensorSpec, indices: Any, values: TensorSpec, accumulate: bool = False, *, out: TensorSpec
) -> Work:
    """The addressed elements are written; with `accumulate` they are read too and count 1 each."""
    return Work(0, _indexed(self, indices) if accumulate else 0)


def _replaced_read(self: TensorSpec, src: TensorSpec, *rest: Any, out: TensorSpec, **options: Any) -> Dim:
    return out.nbytes


@op("aten.slice_scatter.default", category="movement", axes="same", bytes_read=_replaced_read)
def slice_scatter(
    self: TensorSpec,
    src: TensorSpec,
    dim: int = 0,
    start: Any = None,
    end: Any = None,
    step: Any = 1,
    *,
    out: TensorSpec,
) -> Work:
    """A copy with a slice replaced: every element of the result is read once, from `self` or from `src`."""
    return Work()


@op("aten.select_scatter.default", category="movement", axes="same", bytes_read=_replaced_read)
def select_scatter(self: TensorSpec, src: TensorSpec, dim: int, index: Any, *, out: TensorSpec) -> Work:
    """A copy with one position replaced: every element of the result is read once, from `self` or from `src`."""
    return Work()


@op("aten.diagonal_scatter.default", category="movement", axes="same", bytes_read=_replaced_read)
def diagonal_scatter(
    self: TensorSpec, src: TensorSpec, offset: int = 0, dim1: int = 0, dim2: int = 1, *, out: TensorSpec
) -> Work:
    """A copy with the diagonal replaced: every element of the result is read once, from `self` or from `src`."""
    return Work()


@op("aten.scatter.src", category="movement", axes="same")
def scatter(self: TensorSpec, dim: int, index: TensorSpec, src: TensorSpec, *, out: TensorSpec) -> Work:
    """A copy with the addressed elements replaced."""
    return Work()


@op("aten.scatter.value", category="movement", axes="same")
def scatter_value(self: TensorSpec, dim: int, index: TensorSpec, value: Any, *, out: TensorSpec) -> Work:
    """A copy with the addressed elements replaced."""
    return Work()


@op("aten.scatter_add.default", category="reduction", axes="same")
def scatter_add(self: TensorSpec, dim: int, index: TensorSpec, src: TensorSpec, *, out: TensorSpec) -> Work:
    """A copy; 1 an addressed element."""
    return Work(0, index.numel)


@op("aten.scatter_reduce.two", category="reduction", axes="same")
def scatter_reduce(
    self: TensorSpec,
    dim: int,
    index: TensorSpec,
    src: TensorSpec,
    reduce: str,
    *,
    include_self: bool = True,
    out: TensorSpec,
) -> Work:
    """A copy; 1 an addressed element."""
    return Work(0, index.numel)


def _scatter_read(self: TensorSpec, dim: int, index: TensorSpec, src: TensorSpec, *, out: TensorSpec) -> Dim:
    return index.distinct_bytes + index.numel * src.itemsize


def _scatter_add_read(self: TensorSpec, dim: int, index: TensorSpec, src: TensorSpec, *, out: TensorSpec) -> Dim:
    return index.distinct_bytes + index.numel * (src.itemsize + self.itemsize)


def _scatter_value_read(self: TensorSpec, dim: int, index: TensorSpec, value: Any, *, out: TensorSpec) -> Dim:
    return index.distinct_bytes


def _scatter_written(self: TensorSpec, dim: int, index: TensorSpec, value: Any, *, out: TensorSpec) -> Dim:
    return index.numel * self.itemsize


def _scatter_src_written(self: TensorSpec, dim: int, index: TensorSpec, src: TensorSpec, *, out: TensorSpec) -> Dim:
    return index.numel * self.itemsize


@op("aten.scatter_.src", category="movement", axes="same", bytes_read=_scatter_read, bytes_written=_scatter_src_written)
def scatter_(self: TensorSpec, dim: int, index: TensorSpec, src: TensorSpec, *, out: TensorSpec) -> Work:
    """The addressed elements are written."""
    return Work()


@op(
    "aten.scatter_.value",
    category="movement",
    axes="same",
    bytes_read=_scatter_value_read,
    bytes_written=_scatter_written,
)
def scatter_value_(self: TensorSpec, dim: int, index: TensorSpec, value: Any, *, out: TensorSpec) -> Work:
    """The addressed elements are written."""
    return Work()


@op(
    "aten.scatter_add_.default",
    category="reduction",
    axes="same",
    bytes_read=_scatter_add_read,
    bytes_written=_scatter_src_written,
)
def scatter_add_(self: TensorSpec, dim: int, index: TensorSpec, src: TensorSpec, *, out: TensorSpec) -> Work:
    """The addressed elements are read and written; 1 each."""
    return Work(0, index.numel)


@op("aten.index_add.default", category="reduction", axes="same")
def index_add(
    self: TensorSpec, dim: int, index: TensorSpec, source: TensorSpec, *, alpha: Any = 1, out: TensorSpec
) -> Work:
    """A copy; 1 an element of `source`, 2 when alpha is not 1."""
    return Work(0, (1 + (alpha != 1)) * source.numel)


@op("aten.index_copy.default", category="movement", axes="same")
def index_copy(self: TensorSpec, dim: int, index: TensorSpec, source: TensorSpec, *, out: TensorSpec) -> Work:
    """A copy with the addressed rows replaced."""
    return Work()


def _rows_read(self: TensorSpec, dim: int, index: TensorSpec, source: TensorSpec, *, out: TensorSpec) -> Dim:
    return source.distinct_bytes + index.distinct_bytes


def _rows_written(self: TensorSpec, dim: int, index: TensorSpec, source: TensorSpec, *, out: TensorSpec) -> Dim:
    return source.numel * self.itemsize


@op("aten.index_copy_.default", category="movement", axes="same", bytes_read=_rows_read, bytes_written=_rows_written)
def index_copy_(self: TensorSpec, dim: int, index: TensorSpec, source: TensorSpec, *, out: TensorSpec) -> Work:
    """The addressed rows are written (a static KV cache)."""
    return Work()


@op("aten.index_fill.int_Scalar", category="movement", axes="same")
def index_fill(self: TensorSpec, dim: int, index: TensorSpec, value: Any, *, out: TensorSpec) -> Work:
    """A copy with the addressed rows replaced."""
    return Work()


@op("aten.masked_scatter.default", category="movement", axes="same")
def masked_scatter(self: TensorSpec, mask: TensorSpec, source: TensorSpec, *, out: TensorSpec) -> Work:
    """A copy with the elements under the mask replaced."""
    return Work()


def _nothing(self: TensorSpec, *rest: Any, out: TensorSpec) -> Dim:
    return 0


@op(*aten("fill fill_", "Scalar", "Tensor"), category="movement", axes="same", bytes_read=_nothing)
def fill(self: TensorSpec, value: Any, *, out: TensorSpec) -> Work:
    """Written, not read."""
    return Work()


@op(*aten("zero zero_"), category="movement", axes="same", bytes_read=_nothing)
def zero(self: TensorSpec, *, out: TensorSpec) -> Work:
    """Written, not read."""
    return Work()
