"""fuse-skip-rms-norm: an addition and the RMS norm of its sum become `graphlab::skip_rms_norm`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from graphlab.fused.registry import arguments
from graphlab.fused.skip_rms_norm import SKIP_RMS_NORM
from graphlab.rewriting.draft import Draft
from graphlab.rewriting.residual import fuse_norms_of_sums, unfit_norm
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
        norms = draft.calls(aten.rms_norm.default)
        fuse_norms_of_sums(draft, norms, SKIP_RMS_NORM, unfit_norm, _fuse)


def _fuse(norm: torch.fx.Node, total: torch.fx.Node, draft: Draft) -> None:
    given = arguments(norm)
    options = (given["normalized_shape"], given["weight"], given["eps"])
    fused = draft.call(SKIP_RMS_NORM, *total.args[:2], *options, at=total)
    pairs = {norm: draft.item(fused, 0, at=total)}
    if len(total.users) > 1:
        pairs[total] = draft.item(fused, 1, at=total)
    draft.replace_all(pairs, "RMS norm of a sum")
