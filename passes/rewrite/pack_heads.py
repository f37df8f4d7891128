"""pack-heads: attention whose heads are one axis of the tensors around it becomes `graphlab::multi_head_attention`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from graphlab.fused.multi_head_attention import MULTI_HEAD_ATTENTION
from graphlab.fused.registry import arguments
from graphlab.fused.rotary_embedding import ROTARY_EMBEDDING
from graphlab.rewriting.attention.constants import Known
from graphlab.rewriting.attention.hidden_rows import kept_rows, zeroed
from graphlab.rewriting.draft import Draft
from graphlab.rewriting.fake import same_size
from graphlab.rewriting.rewrite import Rewrite

aten = torch.ops.aten
Node = torch.fx.Node


@dataclass(frozen=True)
class PackHeads(Rewrite):
    """Attention over (b, heads, t, d) as one operator over (b, t, heads d), which is what fused kernels take.

    Before: `q = aten.transpose(aten.view(x, [b, t, 8, 40]), 1, 2); ...; a = aten.scaled_dot_product_attention(q, k, v);
    out = aten.view(aten.transpose(a, 1, 2), [b, t, 320])`
    After:  `out = graphlab.multi_head_attention(x, y, z, 8)`

    Rows from which a mask hides every key stay 0. The views around it go where they only split and joined heads;
    tensors that never were packed are packed. Three axes are one head. Stays: grouped heads, dropout, more axes,
    operands whose batch is broadcast, a causal flag over lengths that may differ, a boolean mask (which becomes an
    additive one) of fewer than two axes.
    """

    name: ClassVar[str] = "pack-heads"

    def apply(self, draft: Draft) -> None:
        """Asks about every scaled_dot_product_attention."""
        known = Known(draft)
        for node in draft.calls(aten.scaled_dot_product_attention.default):
            reason = _stays(node)
            if reason is not None:
                draft.skip(node, reason)
            else:
                _pack(node, draft, known)


def _stays(node: Node) -> str | None:
    given = arguments(node)
    query, key, value = (given[name].meta["val"] for name in ("query", "key", "value"))
    if query.dim() not in (3, 4) or query.dim() != key.dim() or key.dim() != value.dim():
        return f"operands have {query.dim()}, {key.dim()} and {value.dim()} axes, not three or four"
    if query.dim() == 4 and not all(isinstance(operand.shape[3], int) for operand in (query, key, value)):
        return "the width of a head depends on the inputs"
    if given["dropout_p"]:
        return "it drops scores at random"
    if not all(_same(query, other, axis) for other in (key, value) for axis in range(query.dim() - 2)):
        return "batch or heads of the operands differ: grouped or broadcast"
    if query.dim() == 4 and not isinstance(query.shape[1], int):
        return "the number of heads depends on the inputs"
    if given["is_causal"] and not _same(query, key, query.dim() - 2):
        return "causal over queries and keys of different lengths"
    mask = given["attn_mask"]
    if mask is not None and mask.meta["val"].dim() < 2:
        return "the mask has fewer than two axes"
    return None


def _same(one: torch.Tensor, other: torch.Tensor, axis: int) -> bool:
    return same_size(one.shape[axis], other.shape[axis])


def _pack(node: Node, draft: Draft, known: Known) -> None:
    given = arguments(node)
    heads = int(node.meta["val"].shape[1]) if node.meta["val"].dim() == 4 else 1
    operands = [_packed(given[name], draft, node) for name in ("query", "key", "value")]
    bias = _bias(given["attn_mask"], given["query"], given["key"], draft, node)
    options = (heads, bias, bool(given["is_causal"]), given["scale"])
    out = draft.call(MULTI_HEAD_ATTENTION, *operands, *options, at=node)
    kept = None if given["attn_mask"] is None else kept_rows(given["attn_mask"], draft, known, node)
    if kept is not None:
        out = _shown(out, kept, node.meta["val"].dim(), heads, draft, node)
    if heads == 1 and node.meta["val"].dim() == 3:
        draft.replace(node, out, "attention of one head")
        return
    joins = [join for user in node.users for join in _joins(user, node)]
    if joins and all(_joins(user, node) for user in node.users):
        draft.replace_all(dict.fromkeys(joins, out), "attention of packed heads")
        return
    query, width = given["query"], int(given["value"].meta["val"].shape[3])
    sizes = [draft.size(query, 0), draft.size(query, 2), heads, width]
    rows = draft.call(aten.reshape.default, out, sizes, at=node)
    draft.replace(node, draft.call(aten.transpose.int, rows, 1, 2, at=node), "attention of packed heads")


def _shown(out: Node, kept: Node, rank: int, heads: int, draft: Draft, at: Node) -> Node:
    """`out` (b, q, heads e) with 0 in rows from which every key is hidden, where kernels make NaN of -inf throughout.

    `kept` is (q, 1) behind the axes of batch and heads, or of batch alone (`rank` 3), that the mask has.
    """
    value = kept.meta["val"]
    if rank == 3 or value.dim() < 3:
        return zeroed(out, kept, draft, at)
    if same_size(value.shape[-3], 1):
        return zeroed(out, draft.call(aten.squeeze.dim, kept, -3, at=at), draft, at)
    sizes = draft.shape(out)
    width = int(out.meta["val"].shape[2]) // heads
    rows = draft.call(aten.reshape.default, out, [*sizes[:2], heads, width], at=at)
    turned = draft.call(aten.transpose.int, kept, -3, -2, at=at)
    return draft.call(aten.reshape.default, zeroed(rows, turned, draft, at), sizes, at=at)


def _packed(operand: Node, draft: Draft, at: Node) -> Node:
    """`operand` (b, heads, t, d) as (b, t, heads d); what was split from there is taken from there."""
    shape = operand.meta["val"].shape
    if len(shape) == 3:
        return operand
    rows = operand.args[0] if _swaps_heads(operand) else _turned(operand, draft, at)
    if isinstance(rows, Node):
        source = rows.args[0] if rows.target in _VIEWS else None
        if isinstance(source, Node) and _is_packed(source, shape):
            return source
    else:
        rows = draft.call(aten.transpose.int, operand, 1, 2, at=at)
    sizes = draft.shape(rows)
    return draft.call(aten.reshape.default, rows, [*sizes[:2], shape[1] * int(shape[3])], at=at)


def _turned(operand: Node, draft: Draft, at: Node) -> Node | None:
    """A rotary embedding of heads that were split there, over (b, t, heads, d): the heads are joined without moving."""
    if operand.target is not ROTARY_EMBEDDING or len(operand.users) > 1:
        return None
    given = arguments(operand)
    if not given["heads_first"] or not _swaps_heads(given["x"]):
        return None
    return draft.call(
        ROTARY_EMBEDDING, given["x"].args[0], given["cos"], given["sin"], given["interleaved"], False, at=at
    )


_VIEWS = (aten.view.default, aten.reshape.default, aten._unsafe_view.default)


def _is_packed(source: Node, shape: Any) -> bool:
    """Whether `source` is (b, t, heads d) of the operand's (b, heads, t, d)."""
    found = source.meta["val"].shape
    return (
        len(found) == 3
        and same_size(found[0], shape[0])
        and same_size(found[1], shape[2])
        and same_size(found[2], shape[1] * shape[3])
    )


def _swaps_heads(node: Any) -> bool:
    """Whether `node` only exchanges axes 1 and 2 of four."""
    if not isinstance(node, Node) or node.op != "call_function" or not isinstance(node.meta.get("val"), torch.Tensor):
        return False
    if node.meta["val"].dim() != 4:
        return False
    axes: Any = node.args[1:]
    if node.target is aten.permute.default:
        return [int(axis) % 4 for axis in axes[0]] == [0, 2, 1, 3]
    return node.target is aten.transpose.int and {int(axis) % 4 for axis in axes} == {1, 2}


def _joins(user: Node, attention: Node) -> list[Node]:
    """The views that join the heads of `attention`, through its user `user`, which exchanges axes."""
    if not _swaps_heads(user):
        return []
    passed = [user, *(n for n in user.users if n.target in (aten.contiguous.default, aten.clone.default))]
    views = [view for item in passed for view in item.users if view.target in _VIEWS]
    readers = {reader for item in passed for reader in item.users} - set(passed)
    shape = attention.meta["val"].shape
    if readers != set(views) or not all(_is_packed(view, shape) for view in views):
        return []
    return views


def _bias(mask: Node | None, query: Node, key: Node, draft: Draft, at: Node) -> Node | None:
    """The mask as a term (b or 1, heads or 1, q, k) added to the scores; kernels broadcast neither queries nor keys."""
    if mask is None:
        return None
    value = mask.meta["val"]
    if value.dtype is torch.bool:
        dtype, device = query.meta["val"].dtype, value.device
        zero = draft.call(aten.full.default, [], 0.0, at=at, dtype=dtype, device=device)
        low = draft.call(aten.full.default, [], float("-inf"), at=at, dtype=dtype, device=device)
        mask = draft.call(aten.where.self, mask, zero, low, at=at)
    if query.meta["val"].dim() == 3 and value.dim() == 3:
        mask = draft.call(aten.unsqueeze.default, mask, 1, at=at)
    else:
        for _ in range(4 - value.dim()):
            mask = draft.call(aten.unsqueeze.default, mask, 0, at=at)
    scores = (query.meta["val"].shape[-2], key.meta["val"].shape[-2])
    if all(same_size(have, want) for have, want in zip(mask.meta["val"].shape[2:], scores, strict=True)):
        return mask
    sizes = [-1, -1, draft.size(query, -2), draft.size(key, -2)]
    return draft.call(aten.expand.default, mask, sizes, at=at)
