"""Writes a recognised attention as one `scaled_dot_product_attention` over (batch, heads, tokens, width)."""

from __future__ import annotations

import math
from typing import Any

import torch

from graphlab.rewriting import fake
from graphlab.rewriting.attention.arrange import all_axes, rearranged
from graphlab.rewriting.attention.axes import Dims, Unmatched, dims_of
from graphlab.rewriting.attention.constants import Known
from graphlab.rewriting.attention.mask import Mask, combined
from graphlab.rewriting.attention.match import Match
from graphlab.rewriting.attention.operands import Origin, dtype_of, head_split, nearest, origins
from graphlab.rewriting.attention.scores import Factor, read_scores
from graphlab.rewriting.draft import Draft

aten = torch.ops.aten


def emit(draft: Draft, found: Match, known: Known, *, exact: bool) -> tuple[torch.fx.Node, str]:
    """The node that replaces `found.output`, and what was recognised, in words.

    With `exact` rows that are masked throughout keep the value their spelling gives them. Unmatched says why the
    attention cannot be written this way; nodes made until then are unread and go with the next clean-up.
    """
    at = found.output.node
    head_split(draft, found, known)
    scores = read_scores(found, known)
    groups = _groups(found)
    query, key, value, scale = _operands(draft, found, known, groups, at)
    scale *= scores.scale
    for factor in scores.factors:
        query, key = _multiplied(draft, query, key, factor, found, groups, at)
    if scale < 0:
        query, scale = draft.call(aten.neg.default, query, at=at), -scale
    target = [*groups[:3], found.keys]
    nan = exact and not found.norm.zero_dead  # else the softmax itself gives 0 where the fused call does
    mask = combined(draft, scores.terms, target, dtype_of(query), known, exact=exact, nan=nan, at=at)
    if mask.still is not None:
        query = draft.call(aten.masked_fill.Scalar, query, mask.still, 0, at=at, value=query.meta["val"])
    fused = fused_call(draft, (query, key, value), mask, scale, at)
    if mask.dead is not None:
        same = fused.meta["val"]
        fused = draft.call(aten.masked_fill.Scalar, fused, mask.dead, math.nan, at=at, value=same)
    result = _result(draft, found, fused, groups, at)
    if not fake.agree(result.meta["val"], at.meta["val"]):
        raise Unmatched("the sizes of its result cannot be shown to stay the same at every binding")
    return result, _words(found, mask)


def fused_call(
    draft: Draft, operands: tuple[torch.fx.Node, ...], mask: Mask, scale: float, at: torch.fx.Node
) -> torch.fx.Node:
    """The fused attention of (query, key, value), (batch, heads, tokens, width) each."""
    query, _, value = (node.meta["val"] for node in operands)
    target, args = aten.scaled_dot_product_attention.default, (*operands, mask.node, 0.0, mask.causal)
    result = fake.evaluate(draft.mode, target, args, {"scale": scale})
    with fake.quietly(draft.mode):
        # Its shape function takes equal examples for equal sizes: queries' and values' width are two symbols.
        expected = query.new_empty((*query.shape[:-1], value.shape[-1]))
    result = result if fake.same_shape(result, expected) else expected
    return draft.call(target, *args, scale=scale, at=at, value=result)


def _groups(found: Match) -> Dims:
    """The axes of (batch, heads, queries, width); the head is the last batch axis of several."""
    batch = found.batch
    heads = batch[-1:] if len(batch) > 1 else ()
    return [batch[: len(batch) - len(heads)], heads, found.queries, found.width]


def _operands(
    draft: Draft, found: Match, known: Known, groups: Dims, at: torch.fx.Node
) -> tuple[torch.fx.Node, torch.fx.Node, torch.fx.Node, float]:
    """(query, key, value, scale) arranged as (batch, heads, tokens, width), in one dtype."""
    lead, heads, queries, width = groups
    targets = (
        [lead, heads, queries, width],
        [lead, heads, found.keys, width],
        [lead, heads, found.keys, found.value_width],
    )
    lists = [origins(draft, operand, known, scaled=index < 2)
             for index, operand in enumerate((found.query, found.key, found.value))]  # fmt: skip
    casts = _casts(lists)
    chosen = [nearest(list_, target, casts=casts) for list_, target in zip(lists, targets, strict=True)]
    nodes = [rearranged(draft, origin.node, origin.dims, target, at=at, stretch=True)
             for origin, target in zip(chosen, targets, strict=True)]  # fmt: skip
    dtype = _widest(nodes)
    nodes = [n if dtype_of(n) == dtype else draft.call(aten.to.dtype, n, dtype, at=at) for n in nodes]
    return nodes[0], nodes[1], nodes[2], chosen[0].scale * chosen[1].scale


def _casts(lists: list[list[Origin]]) -> int:
    """1 when queries and keys were widened from the dtype the values have: the fused call widens by itself; else 0."""
    wanted = dtype_of(lists[2][0].node)
    for found in lists[:2]:
        crossed = [origin for origin in found if origin.casts == 1]
        if dtype_of(found[0].node) == wanted or not crossed or dtype_of(crossed[0].node) != wanted:
            return 0
    return 1


def _widest(nodes: list[torch.fx.Node]) -> torch.dtype:
    dtype = dtype_of(nodes[0])
    for node in nodes[1:]:
        dtype = torch.promote_types(dtype, dtype_of(node))
    return dtype


def _multiplied(
    draft: Draft,
    query: torch.fx.Node,
    key: torch.fx.Node,
    factor: Factor,
    found: Match,
    groups: Dims,
    at: torch.fx.Node,
) -> tuple[torch.fx.Node, torch.fx.Node]:
    """(query, key) with `factor` on the side whose axes it has."""
    operator = aten.div.Tensor if factor.inverse else aten.mul.Tensor
    axes = set(all_axes(factor.dims))
    on_key = bool(axes & set(found.keys))
    if on_key and axes & set(found.queries):
        raise Unmatched("the scores are multiplied by a tensor over queries and keys")
    side = key if on_key else query
    node = factor.node
    if factor.dims:
        target = [*groups[:2], found.keys if on_key else found.queries, ()]
        node = rearranged(draft, node, factor.dims, target, at=at, stretch=False)
    dtype = dtype_of(side)
    scaled = draft.call(operator, side, node, at=at)
    if dtype_of(scaled) != dtype:
        scaled = draft.call(aten.to.dtype, scaled, dtype, at=at)
    return (query, scaled) if on_key else (scaled, key)


def _result(draft: Draft, found: Match, fused: torch.fx.Node, groups: Dims, at: torch.fx.Node) -> torch.fx.Node:
    """`fused` with the dimensions, dtype and additions of the value product."""
    own = [*groups[:3], found.value_width]
    node = rearranged(draft, fused, own, dims_of(found.out.dims), at=at, stretch=True)
    product = found.output
    if product.alpha != 1:
        node = draft.call(aten.mul.Tensor, node, product.alpha, at=at)
    if product.addend is not None:
        extra: Any = product.addend
        if product.beta != 1:
            extra = draft.call(aten.mul.Tensor, extra, product.beta, at=at)
        node = draft.call(aten.add.Tensor, node, extra, at=at)
    dtype = dtype_of(at)
    return node if dtype_of(node) == dtype else draft.call(aten.to.dtype, node, dtype, at=at)


def _words(found: Match, mask: Mask) -> str:
    parts = [f"softmax({found.query.node.name} x {found.key.node.name}) x {found.value.node.name}"]
    return f"attention: {', '.join([*parts, mask.note] if mask.note else parts)}"
