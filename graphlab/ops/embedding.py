"""Lookups: embedding, gather, index, index_select. They compute nothing, and read only the elements they take."""

from __future__ import annotations

from typing import Any

from graphlab.graph import Dim, TensorSpec
from graphlab.ops.rule import Work, op, tensors
from graphlab.ops.sizes import aten


def _embedding_read(
    weight: TensorSpec,
    indices: TensorSpec,
    padding_idx: Any = -1,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
    *,
    out: TensorSpec,
) -> Dim:
    return out.nbytes + indices.distinct_bytes


def _gather_read(self: TensorSpec, dim: int, index: TensorSpec, *, sparse_grad: bool = False, out: TensorSpec) -> Dim:
    return out.nbytes + index.distinct_bytes


def _index_read(self: TensorSpec, indices: Any, *, out: TensorSpec) -> Dim:
    read: Dim = out.nbytes
    for index in tensors(indices):
        read = read + index.distinct_bytes
    return read


def _along_read(self: TensorSpec, indices: TensorSpec, dim: Any = None, *, out: TensorSpec) -> Dim:
    return out.nbytes + indices.distinct_bytes


def _take_read(self: TensorSpec, index: TensorSpec, *, out: TensorSpec) -> Dim:
    return out.nbytes + index.distinct_bytes


@op("aten.embedding.default", category="embedding", axes="embedding", bytes_read=_embedding_read)
def embedding(
    weight: TensorSpec,
    indices: TensorSpec,
    padding_idx: Any = -1,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
    *,
    out: TensorSpec,
) -> Work:
    """Nothing is computed. Bytes: the rows taken (once an index, repeats included) and the indices."""
    return Work()


@op("aten.gather.default", category="embedding", axes="gather", bytes_read=_gather_read)
def gather(self: TensorSpec, dim: int, index: TensorSpec, *, sparse_grad: bool = False, out: TensorSpec) -> Work:
    """Nothing is computed. Bytes: the elements taken and the indices."""
    return Work()


@op("aten.index_select.default", category="embedding", axes="index", bytes_read=_gather_read)
def index_select(self: TensorSpec, dim: int, index: TensorSpec, *, out: TensorSpec) -> Work:
    """Nothing is computed. Bytes: the elements taken and the indices."""
    return Work()


@op("aten.index.Tensor", "aten._unsafe_index.Tensor", category="embedding", axes="index", bytes_read=_index_read)
def index(self: TensorSpec, indices: Any, *, out: TensorSpec) -> Work:
    """Nothing is computed. Bytes: the elements taken and the indices (all of a mask)."""
    return Work()


@op("aten.take_along_dim.default", category="embedding", axes="gather", bytes_read=_along_read)
def take_along_dim(self: TensorSpec, indices: TensorSpec, dim: Any = None, *, out: TensorSpec) -> Work:
    """Nothing is computed. Bytes: the elements taken and the indices."""
    return Work()


@op("aten.take.default", category="embedding", axes="unknown", bytes_read=_take_read)
def take(self: TensorSpec, index: TensorSpec, *, out: TensorSpec) -> Work:
    """Nothing is computed. Bytes: the elements taken and the indices."""
    return Work()


@op("aten.masked_select.default", category="embedding", axes="unknown")
def masked_select(self: TensorSpec, mask: TensorSpec, *, out: TensorSpec) -> Work:
    """Nothing is computed."""
    return Work()


@op("aten.one_hot.default", category="embedding", axes="unknown")
def one_hot(self: TensorSpec, num_classes: Any = -1, *, out: TensorSpec) -> Work:
    """Nothing is computed: zeros, and a 1 an index."""
    return Work()


@op(*aten("searchsorted", "Tensor"), category="embedding", axes="unknown")
def searchsorted(
    sorted_sequence: TensorSpec,
    self: TensorSpec,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: TensorSpec | None = None,
    out: TensorSpec,
) -> Work:
    """1 an output element; the comparisons of the binary search, a logarithm of a size, are not modelled."""
    return Work(0, out.numel)


@op("aten.bucketize.Tensor", category="embedding", axes="same")
def bucketize(
    self: TensorSpec, boundaries: TensorSpec, *, out_int32: bool = False, right: bool = False, out: TensorSpec
) -> Work:
    """As searchsorted."""
    return Work(0, out.numel)
