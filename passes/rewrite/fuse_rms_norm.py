"""fuse-rms-norm: root mean square norms written out become `aten.rms_norm`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from graphlab.rewriting.asserted import drop_assertions
from graphlab.rewriting.draft import Draft
from graphlab.rewriting.fake import same_size
from graphlab.rewriting.identities import is_cast
from graphlab.rewriting.memory import Known, Relayout, lies_same, relayout
from graphlab.rewriting.rewrite import Rewrite
from graphlab.rewriting.rms_norm import FLOATS, HALF, ROOTS, RmsNorm, narrow, of_length, readers, rms_norm

aten = torch.ops.aten
Node = torch.fx.Node


@dataclass(frozen=True)
class FuseRmsNorm(Rewrite):
    """x / sqrt(mean(x * x) + eps), perhaps times a weight, as one `aten.rms_norm`, whichever way it is spelled.

    Before: `f = aten.to(x, float32); m = aten.mean(aten.pow(f, 2), [-1], True); r = aten.rsqrt(aten.add(m, 1e-06));
    y = aten.mul(weight, aten.to(aten.mul(f, r), bfloat16))`
    After:  `y = aten.rms_norm(x, [64], weight, 1e-06)`

    Casts to float32 and back go where the operator, which computes half precision in float32, gives the same up to the
    last rounding; other casts stay around it, and so does a weight of another shape or dtype. Stays: a layer norm
    without its name (the mean is taken off first), other axes than the last ones, a sum of squares or a clamped length,
    eps outside the root, a mean square or a root that something else reads.
    """

    name: ClassVar[str] = "fuse-rms-norm"

    def apply(self, draft: Draft) -> None:
        """Asks about every root, and about every length of a vector."""
        known: Known = {}
        for node in draft.calls(*ROOTS):
            found = rms_norm(node)
            reason = _fuse(found, draft, known) if isinstance(found, RmsNorm) else found
            if reason is not None:
                draft.skip(node, reason)
        for node in draft.calls(aten.linalg_vector_norm.default):
            reason = of_length(node)
            if reason is not None:
                draft.skip(node, reason)


def _fuse(found: RmsNorm, draft: Draft, known: Known) -> str | None:
    """Writes the operator for the product, or for what comes after it: a cast back, a weight, both in any order.

    A str is why readers do not take the result, which is row-major whatever x is.
    """
    value, weight = found.product, None
    for end, factor in _endings(found):
        if _merges(found, end, factor):
            value, weight = end, factor
    source = found.source if value.meta["val"].dtype == found.source.meta["val"].dtype else None
    if source is None or not _inside(found, source):
        source = _as(found.scaled, found.product.meta["val"].dtype, draft, value)
    shape = draft.shape(found.source)[-found.axes :]
    if weight is not None:
        weight = _flat(weight, source.meta["val"].dtype, found.axes, draft, value)
    new = draft.call(aten.rms_norm.default, source, shape, weight, found.eps, at=value)
    follows: Relayout | str | None = None
    if not lies_same(new.meta["val"], value.meta["val"]):
        follows = relayout(draft.mode, {value: new.meta["val"]}, known)
    if isinstance(follows, str):
        draft.sweep()
        return follows
    drop_assertions(draft, value)
    draft.replace(value, new, "x over the root of its mean square")
    if follows is not None:
        follows.write()
    return None


def _endings(found: RmsNorm) -> list[tuple[Node, Node | None]]:
    """(node, weight) of what may be the end of the norm: casts and one product with a weight after it, in order."""
    endings: list[tuple[Node, Node | None]] = [(found.product, None)]
    weight: Node | None = None
    while True:
        last = endings[-1][0]
        after = readers(last)
        if len(after) != 1:
            return endings
        (user,) = after
        if is_cast(user) and user.meta["val"].dtype in FLOATS:
            endings.append((user, weight))
            continue
        factor = _factor(user, last) if weight is None else None
        if factor is None or not _is_weight(factor, found):
            return endings
        weight = factor
        endings.append((user, weight))


def _factor(user: Node, normed: Node) -> Node | None:
    if user.target is not aten.mul.Tensor or user.kwargs or len(user.args) != 2:
        return None
    others = [arg for arg in user.args if arg is not normed]
    return others[0] if len(others) == 1 and isinstance(others[0], Node) else None


def _is_weight(factor: Node, found: RmsNorm) -> bool:
    """Whether `factor` has the shape of the normalised axes, perhaps behind axes of size 1."""
    value, shape = factor.meta["val"], found.source.meta["val"].shape
    if not isinstance(value, torch.Tensor) or not found.axes <= value.dim() <= len(shape):
        return False
    front, back = value.shape[: -found.axes], value.shape[-found.axes :]
    ones = all(isinstance(size, int) and size == 1 for size in front)
    return ones and all(same_size(a, b) for a, b in zip(back, shape[-found.axes :], strict=True))


def _merges(found: RmsNorm, end: Node, weight: Node | None) -> bool:
    """Whether the operator on a dtype of its own gives the numbers of `end` up to its last rounding."""
    dtype = end.meta["val"].dtype
    own = found.source.meta["val"].dtype
    if dtype == own and _inside(found, found.source):
        return weight is None or narrow(weight).meta["val"].dtype == dtype
    if end is found.product:
        return True
    product = found.product.meta["val"].dtype
    return weight is not None and dtype == product == weight.meta["val"].dtype and found.product in end.args


def _inside(found: RmsNorm, source: Node) -> bool:
    """Whether what is computed between is no more precise than what the operator computes `source` in."""
    dtype = source.meta["val"].dtype
    computed = torch.float32 if dtype in HALF else dtype
    return torch.promote_types(found.inside, computed) == computed


def _as(node: Node, dtype: torch.dtype, draft: Draft, at: Node) -> Node:
    """`node` in `dtype`."""
    return node if node.meta["val"].dtype == dtype else draft.call(aten.to.dtype, node, dtype, at=at)


def _flat(weight: Node, dtype: torch.dtype, axes: int, draft: Draft, at: Node) -> Node:
    """`weight` in `dtype` with the normalised axes alone."""
    own = narrow(weight)
    flat = own if own.meta["val"].dtype == dtype else weight
    if flat.meta["val"].dim() == axes:
        return flat
    return draft.call(aten.reshape.default, flat, draft.shape(flat)[-axes:], at=at)
