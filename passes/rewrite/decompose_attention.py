"""decompose-attention: the fused call written out, the inverse of fuse-attention."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from graphlab.rewriting.draft import Draft
from graphlab.rewriting.rewrite import Peephole

aten = torch.ops.aten
_DEFAULTS = {"attn_mask": None, "dropout_p": 0.0, "is_causal": False, "scale": None, "enable_gqa": False}


@dataclass(frozen=True)
class DecomposeAttention(Peephole):
    """Writes `scaled_dot_product_attention` as product, mask, softmax, product.

    Before: `o = scaled_dot_product_attention(q, k, v, mask)`. After: `s = matmul(q, k.mT) * scale + mask; o =
    matmul(_safe_softmax(s, -1), v)`. The softmax is the one that gives 0 for rows masked throughout, as the fused call
    does. For runtimes without the fused operator, and to look inside; never part of a level.
    """

    name: ClassVar[str] = "decompose-attention"
    targets: ClassVar[tuple[Any, ...]] = (aten.scaled_dot_product_attention.default,)
    why: ClassVar[str] = "scaled_dot_product_attention written out"

    def replace(self, node: torch.fx.Node, draft: Draft) -> torch.fx.Node | str | None:
        """The output of the value product, or why the call stays."""
        query, key, value, *rest = _arguments(node)
        given = {**_DEFAULTS, **dict(zip(("attn_mask", "dropout_p", "is_causal"), rest, strict=False)), **node.kwargs}
        if given["dropout_p"] != 0:
            return f"dropout is active (rate {given['dropout_p']})"
        if given["enable_gqa"]:
            repeats = _group(query, key)
            if repeats is None:
                return "the number of queries' heads over that of keys is not known"
            key = draft.call(aten.repeat_interleave.self_int, key, repeats, -3, at=node)
            value = draft.call(aten.repeat_interleave.self_int, value, repeats, -3, at=node)
        scores = draft.call(aten.matmul.default, query, draft.call(aten.mT.default, key, at=node), at=node)
        scores = _masked(draft, _scaled(draft, scores, query, given["scale"], node), given, node)
        weights = draft.call(aten._safe_softmax.default, scores, -1, at=node)
        return draft.call(aten.matmul.default, weights, value, at=node)


def _arguments(node: torch.fx.Node) -> tuple[Any, ...]:
    return node.args


def _group(query: torch.fx.Node, key: torch.fx.Node) -> int | None:
    """How many heads of the queries share one of the keys."""
    heads, shared = query.meta["val"].shape[-3], key.meta["val"].shape[-3]
    return heads // shared if isinstance(heads, int) and isinstance(shared, int) else None


def _scaled(draft: Draft, scores: torch.fx.Node, query: torch.fx.Node, scale: Any, at: torch.fx.Node) -> torch.fx.Node:
    """The scores times `scale`, by default over the root of the heads' width."""
    if scale is not None:
        return draft.call(aten.mul.Tensor, scores, scale, at=at)
    width = draft.size(query, -1)
    if isinstance(width, int):
        return draft.call(aten.mul.Tensor, scores, 1 / math.sqrt(width), at=at)
    return draft.call(aten.div.Tensor, scores, draft.call(torch.sym_sqrt, width, at=at), at=at)


def _masked(draft: Draft, scores: torch.fx.Node, given: dict[str, Any], at: torch.fx.Node) -> torch.fx.Node:
    mask = given["attn_mask"]
    if given["is_causal"]:
        sizes = [draft.size(scores, -2), draft.size(scores, -1)]
        device = scores.meta["val"].device
        ones = draft.call(aten.ones.default, sizes, dtype=torch.bool, device=device, at=at)
        mask = draft.call(aten.tril.default, ones, at=at)
    if mask is None:
        return scores
    if mask.meta["val"].dtype != torch.bool:
        return draft.call(aten.add.Tensor, scores, mask, at=at)
    hidden = draft.call(aten.logical_not.default, mask, at=at)
    return draft.call(aten.masked_fill.Scalar, scores, hidden, -math.inf, at=at)
