"""Queries that a mask hides every key from: scaled_dot_product_attention returns 0 for them, kernels may not."""

from __future__ import annotations

import math

import torch

from graphlab.rewriting.attention.constants import Known
from graphlab.rewriting.attention.triangle import triangle
from graphlab.rewriting.draft import Draft

Node = torch.fx.Node
aten = torch.ops.aten


def kept_rows(mask: Node, draft: Draft, known: Known, at: Node) -> Node | None:
    """(.., queries, 1) of the mask (.., queries, keys) of scaled_dot_product_attention: whether a key is left.

    None where its value, or how it is made, shows that every query has one.
    """
    value, is_bool = known.tensor(mask), mask.meta["val"].dtype is torch.bool
    if value is not None:
        kept = value if is_bool else value != -math.inf
        if bool(kept.any(-1).all()):
            return None
    elif is_bool and triangle(mask, keeps=True) is not None:
        return None
    shown = mask if is_bool else draft.call(aten.ne.Scalar, mask, -math.inf, at=at)
    return draft.call(aten.any.dim, shown, -1, True, at=at)


def zeroed(out: Node, kept: Node, draft: Draft, at: Node) -> Node:
    """`out` with 0 where the rows are not `kept`.

    The attention took the mask, so `kept` broadcasts to `out`, also where its sizes do not show it.
    """
    value = out.meta["val"]
    zero = draft.call(aten.full.default, [], 0.0, at=at, dtype=value.dtype, device=value.device)
    return draft.call(aten.where.self, kept, out, zero, at=at, value=value)
