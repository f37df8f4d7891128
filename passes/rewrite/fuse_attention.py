"""fuse-attention: attention written out becomes `scaled_dot_product_attention`, whatever its spelling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from graphlab.rewriting.attention.axes import Unmatched
from graphlab.rewriting.attention.constants import Known, weight_only
from graphlab.rewriting.attention.emit import emit
from graphlab.rewriting.attention.match import match
from graphlab.rewriting.attention.normalisation import normalisations
from graphlab.rewriting.attention.uses import detach_shapes
from graphlab.rewriting.draft import Draft
from graphlab.rewriting.options import option
from graphlab.rewriting.rewrite import Rewrite


@dataclass(frozen=True)
class FuseAttention(Rewrite):
    """Fuses softmax(queries x keys) x values into one call.

    Before: `s = bmm(q, k.mT) * 0.125; p = softmax(s, -1); o = bmm(p, v)`. After: `o =
    scaled_dot_product_attention(q, k, v, scale=0.125)` over (batch, heads, tokens, width).

    Recognised from the softmax: back to the product of two activations, forward to the product that sums over the
    axis it ran over. Axes are followed through every view and permutation, so nothing depends on names or sizes.
    Scales, masks and biases between are taken up; anything else there is a reason to stay. With `masked_rows=exact` a
    row all of whose scores are -inf keeps its NaN; `trust` says that there is none.
    """

    name: ClassVar[str] = "fuse-attention"
    masked_rows: str = option("exact", "rows masked throughout", choices=("exact", "trust"))

    def apply(self, draft: Draft) -> None:
        """Tries every softmax in execution order."""
        known, weights = Known(draft), weight_only(draft)
        for norm in list(normalisations(draft)):
            if norm.out._erased:  # nothing came of it, and it went with the attention before
                continue
            try:
                found = match(draft, norm, weights)
                if detach_shapes(draft, found.dims, found.members):
                    found = match(draft, norm, weights)
                new, why = emit(draft, found, known, exact=self.masked_rows == "exact")
            except Unmatched as reason:
                draft.sweep()
                draft.skip(norm.out, str(reason))
                continue
            draft.replace(found.output.node, new, why)
