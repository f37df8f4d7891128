"""Attention in the shapes ONNX's operators take: four axes, one batch, masks over all queries and keys."""

from __future__ import annotations

from typing import Any

import torch

from graphlab.fused.registry import arguments
from graphlab.rewriting.attention.constants import Known
from graphlab.rewriting.attention.hidden_rows import kept_rows, zeroed
from graphlab.rewriting.draft import Draft, Size
from graphlab.rewriting.fake import same_size

aten = torch.ops.aten
Node = torch.fx.Node


def four_axes(node: Node, draft: Draft) -> None:
    """An attention of three, or more than four axes, or of operands with several batches, over (b, heads, t, d).

    Grouped heads (`enable_gqa`) over four axes stay: ONNX's Attention has them.
    """
    given = arguments(node)
    operands = [given[name] for name in ("query", "key", "value")]
    shapes = [operand.meta["val"].shape for operand in operands]
    grouped = given["enable_gqa"]
    if grouped and len(shapes[0]) == 4 and all(_same(shape[:2], shapes[0][:2]) for shape in shapes):
        _ungroup(node, draft)  # as many heads of keys as of queries: torch's translation takes none of these
        return
    if len(shapes[0]) == 4 and all(_same(s[: 1 if grouped else 2], shapes[0][: 1 if grouped else 2]) for s in shapes):
        return
    if grouped:
        return  # the translation says that it does not take them
    lead = _lead(operands, draft)
    packed = [_packed(operand, lead, draft, node) for operand in operands]
    mask = given["attn_mask"]
    if isinstance(mask, Node) and mask.meta["val"].dim() > 2:
        mask = _packed(mask, lead, draft, node)
    rest = {"scale": given["scale"]}
    options = (mask, given["dropout_p"], given["is_causal"])
    out = draft.call(aten.scaled_dot_product_attention.default, *packed, *options, at=node, **rest)
    sizes = [*lead, draft.size(operands[0], -2), draft.size(operands[2], -1)]
    draft.replace(node, draft.call(aten.reshape.default, out, sizes, at=node), "attention over four axes")


def _ungroup(node: Node, draft: Draft) -> None:
    given = arguments(node)
    options = [given[name] for name in ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")]
    made = draft.call(node.target, *options, at=node, value=node.meta["val"], scale=given["scale"])
    draft.replace(node, made, "heads that are not grouped")


def show_hidden_rows(node: Node, draft: Draft, known: Known) -> None:
    """An attention that is spelled out, with 0 in the rows from which its mask hides every key."""
    mask = arguments(node)["attn_mask"]
    kept = kept_rows(mask, draft, known, node) if isinstance(mask, Node) else None
    if kept is None:
        return
    made = draft.call(node.target, *node.args, at=node, value=node.meta["val"], **node.kwargs)
    draft.replace(node, zeroed(made, kept, draft, node), "rows that are hidden throughout are 0")


def _same(one: Any, other: Any) -> bool:
    return len(one) == len(other) and all(same_size(*pair) for pair in zip(one, other, strict=True))


def _lead(operands: list[Node], draft: Draft) -> list[Size]:
    """The sizes the leading axes of `operands` are broadcast to."""
    count = max(operand.meta["val"].dim() for operand in operands) - 2
    found: list[Size] = []
    for axis in range(-count - 2, -2):
        there = [operand for operand in operands if operand.meta["val"].dim() >= -axis]
        wide = [operand for operand in there if not same_size(operand.meta["val"].shape[axis], 1)]
        found.append(draft.size((wide or there)[0], axis))
    return found


def _packed(operand: Node, lead: list[Size], draft: Draft, at: Node) -> Node:
    """`operand` (*lead or 1, t, d) as (b, heads, t, d), the last leading axis being the heads."""
    last = [draft.size(operand, -2), draft.size(operand, -1)]
    wide = draft.call(aten.expand.default, operand, [*lead, *last], at=at)
    if len(lead) == 2:
        return wide
    batch = draft.product(lead[:-1], at=at) if len(lead) > 1 else lead[0] if lead else 1
    return draft.call(aten.reshape.default, wide, [batch, lead[-1] if len(lead) > 1 else 1, *last], at=at)


def widen_mask(node: Node, draft: Draft) -> None:
    """A mask broadcast over queries or keys, spelled out over them: runtimes broadcast batch and heads alone."""
    given = arguments(node)
    mask, query, key = (given[name] for name in ("attn_mask", "query", "key"))
    if not isinstance(mask, Node):
        return
    value = mask.meta["val"]
    scores = (query.meta["val"].shape[-2], key.meta["val"].shape[-2])
    if value.dim() >= 2 and _same(value.shape[-2:], scores):
        return
    sizes = [*[-1] * max(value.dim() - 2, 0), draft.size(query, -2), draft.size(key, -2)]
    wide = draft.call(aten.expand.default, mask, sizes, at=node)
    options = (wide, given["dropout_p"], given["is_causal"])
    made = draft.call(
        node.target, query, key, given["value"], *options, at=node, value=node.meta["val"], scale=given["scale"],
        enable_gqa=given["enable_gqa"],
    )  # fmt: skip
    draft.replace(node, made, "the mask over all queries and keys")
