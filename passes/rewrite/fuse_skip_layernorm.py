"""fuse-skip-layernorm: an addition and the layer norm of its sum become `graphlab::skip_layer_norm`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from graphlab.fused.registry import arguments
from graphlab.fused.skip_layer_norm import SKIP_LAYER_NORM
from graphlab.rewriting.draft import Draft
from graphlab.rewriting.residual import fuse_norms_of_sums, unfit_norm
from graphlab.rewriting.rewrite import Rewrite

aten = torch.ops.aten


@dataclass(frozen=True)
class FuseSkipLayernorm(Rewrite):
    """layer_norm(x + residual) as one operator that also returns the sum, which then is not read back for the norm.

    Before: `sum = aten.add(x, residual); normed = aten.layer_norm(sum, [640], weight, bias, 1e-05)`
    After:  `skip = graphlab.skip_layer_norm(x, residual, [640], weight, bias, 1e-05); normed = skip[0]; sum = skip[1]`

    Stays: a residual of another shape or dtype, or scaled; a norm over more than the last axis; a second norm of one
    sum; a weight that is computed after the sum.
    """

    name: ClassVar[str] = "fuse-skip-layernorm"

    def apply(self, draft: Draft) -> None:
        """Fuses every layer norm of a sum."""
        norms = draft.calls(aten.layer_norm.default, aten.native_layer_norm.default)
        fuse_norms_of_sums(draft, norms, SKIP_LAYER_NORM, _unfit_norm, _fuse)


def _unfit_norm(norm: torch.fx.Node, total: torch.fx.Node) -> str | None:
    """Why the norm of the sum `total` cannot be where the sum is made; None when it can."""
    if any(result.users for result in _statistics(norm)):
        return "its mean or deviation is read"
    return unfit_norm(norm, total)


def _statistics(norm: torch.fx.Node) -> list[torch.fx.Node]:
    """The mean and reciprocal deviation that native_layer_norm returns besides the norm."""
    native = norm.target is aten.native_layer_norm.default
    return [user for user in norm.users if user.args[1] != 0] if native else []


def _fuse(norm: torch.fx.Node, total: torch.fx.Node, draft: Draft) -> None:
    given = arguments(norm)
    affine = (given["normalized_shape"], given["weight"], given["bias"], given["eps"])
    fused = draft.call(SKIP_LAYER_NORM, *total.args[:2], *affine, at=total)
    for unread in _statistics(norm):
        draft.erase_dead(unread)
    normed = draft.item(fused, 0, at=total)
    values = list(norm.users) if norm.target is aten.native_layer_norm.default else [norm]
    pairs = dict.fromkeys(values, normed)
    if len(total.users) > 1:
        pairs[total] = draft.item(fused, 1, at=total)
    draft.replace_all(pairs, "layer norm of a sum")
