"""Ops that give another view of the same memory: shape, strides and order change, nothing moves.

`moves` says when something does: a `view` never, a `reshape` when the strides do not allow a view, a `cast`
when the dtype changes, `contiguous` when the strides change, `identity` never (dropout in eval).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphlab.graph import TensorSpec
from graphlab.ops.rule import RuleBody, Work, op
from graphlab.ops.sizes import aten


def _view(*targets: str, axes: str, moves: str = "view") -> Callable[[RuleBody], RuleBody]:
    return op(*targets, category="movement", axes=axes, moves=moves)


@_view(*aten("view _unsafe_view"), axes="reshape")
def view(self: TensorSpec, size: Any, *, out: TensorSpec) -> Work:
    """A view."""
    return Work()


@_view("aten.view.dtype", axes="same")
def view_dtype(self: TensorSpec, dtype: Any, *, out: TensorSpec) -> Work:
    """A view of the same bytes as another dtype."""
    return Work()


@_view("aten.reshape.default", axes="reshape", moves="reshape")
def reshape(self: TensorSpec, shape: Any, *, out: TensorSpec) -> Work:
    """A view where the strides allow it, else a copy."""
    return Work()


@_view("aten.flatten.using_ints", axes="reshape", moves="reshape")
def flatten(self: TensorSpec, start_dim: int = 0, end_dim: int = -1, *, out: TensorSpec) -> Work:
    """A view where the strides allow it, else a copy."""
    return Work()


@_view("aten.ravel.default", axes="reshape", moves="reshape")
def ravel(self: TensorSpec, *, out: TensorSpec) -> Work:
    """A view where the strides allow it, else a copy."""
    return Work()


@_view("aten.reshape_as.default", axes="reshape", moves="reshape")
def reshape_as(self: TensorSpec, other: TensorSpec, *, out: TensorSpec) -> Work:
    """A view where the strides allow it, else a copy; `other` lends its shape only."""
    return Work()


@_view("aten.view_as.default", axes="reshape")
def view_as(self: TensorSpec, other: TensorSpec, *, out: TensorSpec) -> Work:
    """A view; `other` lends its shape only."""
    return Work()


@_view("aten._reshape_alias.default", axes="reshape")
def reshape_alias(self: TensorSpec, size: Any, stride: Any, *, out: TensorSpec) -> Work:
    """A view."""
    return Work()


@_view("aten.unflatten.int", axes="reshape")
def unflatten(self: TensorSpec, dim: int, sizes: Any, *, out: TensorSpec) -> Work:
    """A view."""
    return Work()


@_view(*aten("as_strided as_strided_"), axes="unknown")
def as_strided(self: TensorSpec, size: Any, stride: Any, storage_offset: Any = None, *, out: TensorSpec) -> Work:
    """A view."""
    return Work()


@_view("aten.permute.default", axes="permute")
def permute(self: TensorSpec, dims: Any, *, out: TensorSpec) -> Work:
    """A view."""
    return Work()


@_view("aten.transpose.int", "aten.transpose_.default", "aten.swapdims.default", axes="permute")
def transpose(self: TensorSpec, dim0: int, dim1: int, *, out: TensorSpec) -> Work:
    """A view."""
    return Work()


@_view("aten.swapaxes.default", axes="permute")
def swapaxes(self: TensorSpec, axis0: int, axis1: int, *, out: TensorSpec) -> Work:
    """A view."""
    return Work()


@_view(*aten("t t_ numpy_T mT mH matrix_H adjoint"), axes="permute")
def t(self: TensorSpec, *, out: TensorSpec) -> Work:
    """A view."""
    return Work()


@_view(*aten("movedim moveaxis", "int", "intlist"), axes="permute")
def movedim(self: TensorSpec, source: Any, destination: Any, *, out: TensorSpec) -> Work:
    """A view."""
    return Work()


@_view("aten.expand.default", axes="expand")
def expand(self: TensorSpec, size: Any, *, implicit: bool = False, out: TensorSpec) -> Work:
    """A view: the new axes have stride 0 and are stored once."""
    return Work()


@_view("aten.broadcast_to.default", axes="expand")
def broadcast_to(self: TensorSpec, size: Any, *, out: TensorSpec) -> Work:
    """A view: the new axes have stride 0 and are stored once."""
    return Work()


@_view("aten.expand_as.default", axes="expand")
def expand_as(self: TensorSpec, other: TensorSpec, *, out: TensorSpec) -> Work:
    """A view; `other` lends its shape only."""
    return Work()


@_view(*aten("squeeze squeeze_"), axes="squeeze")
def squeeze(self: TensorSpec, *, out: TensorSpec) -> Work:
    """A view."""
    return Work()


@_view(*aten("squeeze squeeze_", "dim", "dims"), axes="squeeze")
def squeeze_dim(self: TensorSpec, dim: Any, *, out: TensorSpec) -> Work:
    """A view."""
    return Work()


@_view(*aten("unsqueeze unsqueeze_"), axes="unsqueeze")
def unsqueeze(self: TensorSpec, dim: int, *, out: TensorSpec) -> Work:
    """A view."""
    return Work()


@_view("aten.slice.Tensor", axes="same")
def slice_(
    self: TensorSpec, dim: int = 0, start: Any = None, end: Any = None, step: Any = 1, *, out: TensorSpec
) -> Work:
    """A view."""
    return Work()


@_view("aten.narrow.default", axes="same")
def narrow(self: TensorSpec, dim: int, start: Any, length: Any, *, out: TensorSpec) -> Work:
    """A view."""
    return Work()


@_view("aten.select.int", axes="select")
def select(self: TensorSpec, dim: int, index: Any, *, out: TensorSpec) -> Work:
    """A view."""
    return Work()


@_view("aten.diagonal.default", axes="unknown")
def diagonal(self: TensorSpec, offset: int = 0, dim1: int = 0, dim2: int = 1, *, out: TensorSpec) -> Work:
    """A view."""
    return Work()


@_view("aten.unfold.default", axes="unknown")
def unfold(self: TensorSpec, dimension: int, size: int, step: int, *, out: TensorSpec) -> Work:
    """A view: windows share their elements."""
    return Work()


@_view("aten.split.Tensor", "aten.split.sizes", axes="split")
def split(self: TensorSpec, split_size: Any, dim: int = 0, *, out: Any) -> Work:
    """Views."""
    return Work()


@_view("aten.unsafe_split.Tensor", axes="split")
def unsafe_split(self: TensorSpec, split_size: Any, dim: int = 0, *, out: Any) -> Work:
    """Views, whose aliasing the schema keeps quiet about."""
    return Work()


@_view(*aten("split_with_sizes unsafe_split_with_sizes"), axes="split")
def split_with_sizes(self: TensorSpec, split_sizes: Any, dim: int = 0, *, out: Any) -> Work:
    """Views."""
    return Work()


@_view(*aten("chunk unsafe_chunk"), axes="split")
def chunk(self: TensorSpec, chunks: int, dim: int = 0, *, out: Any) -> Work:
    """Views."""
    return Work()


@_view("aten.tensor_split.sections", axes="split")
def tensor_split(self: TensorSpec, sections: Any, dim: int = 0, *, out: Any) -> Work:
    """Views."""
    return Work()


@_view("aten.tensor_split.indices", axes="split")
def tensor_split_indices(self: TensorSpec, indices: Any, dim: int = 0, *, out: Any) -> Work:
    """Views."""
    return Work()


@_view("aten.unbind.int", axes="split")
def unbind(self: TensorSpec, dim: int = 0, *, out: Any) -> Work:
    """Views."""
    return Work()


@_view("getitem", axes="getitem")
def getitem(self: Any, index: int, *, out: TensorSpec) -> Work:
    """One output of an op that has several: no op at all."""
    return Work()


@_view("aten.meshgrid.indexing", axes="unknown")
def meshgrid_indexing(tensors: Any, *, indexing: str, out: Any) -> Work:
    """Views, expanded along the axes of the other tensors."""
    return Work()


@_view("aten.meshgrid.default", "aten.broadcast_tensors.default", axes="unknown")
def meshgrid(tensors: Any, *, out: Any) -> Work:
    """Views, expanded along the axes of the other tensors."""
    return Work()


@_view(*aten("detach detach_ alias lift_fresh positive real imag _conj conj resolve_conj resolve_neg"), axes="same")
def alias(self: TensorSpec, *, out: TensorSpec) -> Work:
    """A view; conjugation is a flag on it."""
    return Work()


@_view("aten.view_as_real.default", axes="unsqueeze")
def view_as_real(self: TensorSpec, *, out: TensorSpec) -> Work:
    """A view with a trailing axis of 2."""
    return Work()


@_view("aten.view_as_complex.default", axes="squeeze")
def view_as_complex(self: TensorSpec, *, out: TensorSpec) -> Work:
    """A view without the trailing axis of 2."""
    return Work()


@_view(*aten("dropout feature_dropout alpha_dropout"), axes="same", moves="identity")
def dropout(input: TensorSpec, p: float, train: bool, *, out: TensorSpec) -> Work:
    """Nothing in eval; in training 2 an element (mask, scale), and then it copies."""
    return Work(0, 2 * out.numel if train else 0)


@_view("aten.dropout_.default", axes="same", moves="identity")
def dropout_(self: TensorSpec, p: float, train: bool, *, out: TensorSpec) -> Work:
    """As dropout."""
    return Work(0, 2 * out.numel if train else 0)


@op("aten.native_dropout.default", category="movement", axes="same")
def native_dropout(input: TensorSpec, p: float, train: Any, *, out: Any) -> Work:
    """A copy in eval; in training 2 an element (mask, scale)."""
    return Work(0, 2 * input.numel if train else 0)


@_view("aten.contiguous.default", axes="same", moves="contiguous")
def contiguous(self: TensorSpec, *, memory_format: Any = "torch.contiguous_format", out: TensorSpec) -> Work:
    """A copy where the strides change."""
    return Work()


@_view("aten.to.dtype", axes="same", moves="cast")
def to_dtype(
    self: TensorSpec,
    dtype: Any,
    non_blocking: bool = False,
    copy: bool = False,
    memory_format: Any = None,
    *,
    out: TensorSpec,
) -> Work:
    """A copy where the dtype or the strides change; a cast counts no FLOP."""
    return Work()


@_view("aten.to.device", axes="same", moves="cast")
def to_device(
    self: TensorSpec,
    device: Any,
    dtype: Any,
    non_blocking: bool = False,
    copy: bool = False,
    memory_format: Any = None,
    *,
    out: TensorSpec,
) -> Work:
    """A copy where the dtype or the strides change; moving between devices is not modelled."""
    return Work()


@_view("aten.to.other", axes="same", moves="cast")
def to_other(
    self: TensorSpec,
    other: TensorSpec,
    non_blocking: bool = False,
    copy: bool = False,
    memory_format: Any = None,
    *,
    out: TensorSpec,
) -> Work:
    """A copy where the dtype or the strides change; `other` lends its dtype only."""
    return Work()


@_view("aten.to.dtype_layout", axes="same", moves="cast")
def to_dtype_layout(
    self: TensorSpec,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: Any = None,
    non_blocking: bool = False,
    copy: bool = False,
    memory_format: Any = None,
    out: TensorSpec,
) -> Work:
    """A copy where the dtype or the strides change; moving between devices is not modelled."""
    return Work()


@_view("aten.type_as.default", axes="same", moves="cast")
def type_as(self: TensorSpec, other: TensorSpec, *, out: TensorSpec) -> Work:
    """A copy where the dtype changes; `other` lends its dtype only."""
    return Work()
