"""Ops that copy elements and compute nothing: clones, casts, concatenation, padding, repetition, reordering."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphlab.graph import Dim, TensorSpec
from graphlab.ops.rule import RuleBody, Work, op
from graphlab.ops.sizes import aten


def _copy(*targets: str, axes: str) -> Callable[[RuleBody], RuleBody]:
    return op(*targets, category="movement", axes=axes)


@_copy("aten.clone.default", axes="same")
def clone(self: TensorSpec, *, memory_format: Any = None, out: TensorSpec) -> Work:
    """A copy."""
    return Work()


@_copy("aten.lift_fresh_copy.default", "aten.lift.default", axes="same")
def lift_fresh_copy(self: TensorSpec, *, out: TensorSpec) -> Work:
    """A copy."""
    return Work()


@_copy("aten._to_copy.default", axes="same")
def to_copy(
    self: TensorSpec,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: Any = None,
    non_blocking: bool = False,
    memory_format: Any = None,
    out: TensorSpec,
) -> Work:
    """A copy, even to the same dtype; a cast counts no FLOP."""
    return Work()


def _copied(self: TensorSpec, src: TensorSpec, non_blocking: bool = False, *, out: TensorSpec) -> Dim:
    return src.distinct_bytes


@op(*aten("copy_ copy"), category="movement", axes="same", bytes_read=_copied)
def copy_(self: TensorSpec, src: TensorSpec, non_blocking: bool = False, *, out: TensorSpec) -> Work:
    """A copy of `src`, whose elements replace those of `self` unread."""
    return Work()


@_copy(*aten("cat concat concatenate"), axes="cat")
def cat(tensors: Any, dim: int = 0, *, out: TensorSpec) -> Work:
    """A copy of every input."""
    return Work()


@_copy("aten.stack.default", axes="stack")
def stack(tensors: Any, dim: int = 0, *, out: TensorSpec) -> Work:
    """A copy of every input."""
    return Work()


@_copy(*aten("hstack vstack dstack column_stack"), axes="unknown")
def hstack(tensors: Any, *, out: TensorSpec) -> Work:
    """A copy of every input."""
    return Work()


@_copy("aten.pad.default", axes="same")
def pad(self: TensorSpec, pad: Any, mode: str = "constant", value: Any = None, *, out: TensorSpec) -> Work:
    """A copy with a border."""
    return Work()


@_copy("aten.constant_pad_nd.default", axes="same")
def constant_pad_nd(self: TensorSpec, pad: Any, value: Any = 0, *, out: TensorSpec) -> Work:
    """A copy with a border."""
    return Work()


@_copy("aten._pad_circular.default", axes="same")
def pad_circular(self: TensorSpec, pad: Any, *, out: TensorSpec) -> Work:
    """A copy with a border."""
    return Work()


@_copy(*aten(" ".join(f"{kind}_pad{n}d" for kind in ("reflection", "replication") for n in (1, 2, 3))), axes="same")
def reflection_pad(self: TensorSpec, padding: Any, *, out: TensorSpec) -> Work:
    """A copy with a border."""
    return Work()


@_copy("aten.roll.default", axes="same")
def roll(self: TensorSpec, shifts: Any, dims: Any = (), *, out: TensorSpec) -> Work:
    """A copy in another order."""
    return Work()


@_copy("aten.flip.default", axes="same")
def flip(self: TensorSpec, dims: Any, *, out: TensorSpec) -> Work:
    """A copy in another order."""
    return Work()


@_copy("aten.rot90.default", axes="unknown")
def rot90(self: TensorSpec, k: int = 1, dims: Any = (0, 1), *, out: TensorSpec) -> Work:
    """A copy in another order."""
    return Work()


@_copy(*aten("fliplr flipud"), axes="same")
def fliplr(self: TensorSpec, *, out: TensorSpec) -> Work:
    """A copy in another order."""
    return Work()


@_copy("aten.channel_shuffle.default", axes="same")
def channel_shuffle(self: TensorSpec, groups: Any, *, out: TensorSpec) -> Work:
    """A copy in another order."""
    return Work()


@_copy("aten.repeat.default", axes="repeat")
def repeat(self: TensorSpec, repeats: Any, *, out: TensorSpec) -> Work:
    """Copies side by side: read once, written every time."""
    return Work()


@_copy("aten.tile.default", axes="repeat")
def tile(self: TensorSpec, dims: Any, *, out: TensorSpec) -> Work:
    """Copies side by side: read once, written every time."""
    return Work()


@_copy("aten.repeat_interleave.self_int", "aten.repeat_interleave.self_Tensor", axes="repeat")
def repeat_interleave(
    self: TensorSpec, repeats: Any, dim: Any = None, *, output_size: Any = None, out: TensorSpec
) -> Work:
    """Each element several times: read once, written every time."""
    return Work()


@_copy("aten.repeat_interleave.Tensor", axes="unknown")
def repeat_interleave_counts(repeats: TensorSpec, *, output_size: Any = None, out: TensorSpec) -> Work:
    """Positions, each as often as `repeats` says."""
    return Work()


@_copy(*aten("tril triu tril_ triu_"), axes="same")
def tril(self: TensorSpec, diagonal: Any = 0, *, out: TensorSpec) -> Work:
    """A copy with zeros on one side of the diagonal."""
    return Work()


@_copy("aten.nonzero.default", axes="unknown")
def nonzero(self: TensorSpec, *, out: TensorSpec) -> Work:
    """Positions of the elements that are not 0: nothing is counted."""
    return Work()


@_copy("aten.where.default", axes="unknown")
def where_nonzero(condition: TensorSpec, *, out: Any) -> Work:
    """Positions of the elements that are not 0: nothing is counted."""
    return Work()


@_copy("aten.diag_embed.default", axes="unknown")
def diag_embed(self: TensorSpec, offset: int = 0, dim1: int = -2, dim2: int = -1, *, out: TensorSpec) -> Work:
    """A copy between zeros."""
    return Work()


@_copy("aten.im2col.default", axes="unknown")
def im2col(self: TensorSpec, kernel_size: Any, dilation: Any, padding: Any, stride: Any, *, out: TensorSpec) -> Work:
    """A copy of every window."""
    return Work()


@_copy("aten.expand_copy.default", axes="expand")
def expand_copy(self: TensorSpec, size: Any, *, implicit: bool = False, out: TensorSpec) -> Work:
    """Copies side by side: read once, written every time."""
    return Work()


@_copy("aten.permute_copy.default", axes="permute")
def permute_copy(self: TensorSpec, dims: Any, *, out: TensorSpec) -> Work:
    """A copy in another order."""
    return Work()


@_copy("aten.view_copy.default", axes="reshape")
def view_copy(self: TensorSpec, size: Any, *, out: TensorSpec) -> Work:
    """A copy."""
    return Work()
