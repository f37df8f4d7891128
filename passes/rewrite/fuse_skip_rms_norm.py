"""fuse-skip-rms-norm: an addition and the RMS norm of its sum become `graphlab::skip_rms_norm`."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import ClassVar

import torch

from graphlab.fused.registry import arguments
from graphlab.fused.skip_rms_norm import SKIP_RMS_NORM
from graphlab.rewriting.draft import Draft
from graphlab.rewriting.residual import unfit_norm, unfit_sum
from graphlab.rewriting.rewrite import Rewrite

aten = torch.ops.aten


@dataclass(frozen=True)
class FuseSkipRmsNorm(Rewrite):
    """rms_norm(x + residual) as one operator that also returns the sum, which then is not read back for the norm.

    Before: `sum = aten.add(x, residual); normed = aten.rms_norm(sum, [640], weight, 1e-06)`
    After:  `skip = graphlab.skip_rms_norm(x, residual, [640], weight, 1e-06); normed = skip[0]; sum = skip[1]`

    Stays: a residual of another shape or dtype, or scaled; a norm over more than the last axis; a second norm of one
    sum; a weight that is computed after the sum.
    """

    name: ClassVar[str] = "fuse-skip-rms-norm"

    def apply(self, draft: Draft) -> None:
        """Fuses every RMS norm of a sum."""
        for norm in draft.calls(aten.rms_norm.default):
            total = norm.args[0]
            assert isinstance(total, torch.fx.Node)
            if total.target is operator.getitem and _is_fused_sum(total):
                draft.skip(norm, f"the sum {total} is normed by {total.args[0]} already")
            elif total.target is aten.add.Tensor:
                reason = unfit_sum(total) or unfit_norm(norm, total)
                if reason is not None:
                    draft.skip(norm, reason)
                else:
                    _fuse(norm, total, draft)


def _is_fused_sum(node: torch.fx.Node) -> bool:
    source, index = node.args
    return isinstance(source, torch.fx.Node) and source.target is SKIP_RMS_NORM and bool(index == 1)


def _fuse(norm: torch.fx.Node, total: torch.fx.Node, draft: Draft) -> None:
    given = arguments(norm)
    options = (given["normalized_shape"], given["weight"], given["eps"])
    fused = draft.call(SKIP_RMS_NORM, *total.args[:2], *options, at=total)
    pairs = {norm: draft.item(fused, 0, at=total)}
    if len(total.users) > 1:
        pairs[total] = draft.item(fused, 1, at=total)
    draft.replace_all(pairs, "RMS norm of a sum")
