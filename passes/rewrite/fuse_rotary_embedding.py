"""fuse-rotary-embedding: channels turned by the angles of their token become `graphlab::rotary_embedding`."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from graphlab.fused.rotary_embedding import ROTARY_EMBEDDING
from graphlab.ops import rule_for
from graphlab.rewriting.arguments import arguments
from graphlab.rewriting.asserted import drop_assertions
from graphlab.rewriting.attention.constants import Known as Constants
from graphlab.rewriting.draft import Draft
from graphlab.rewriting.fake import same_size
from graphlab.rewriting.identities import is_cast
from graphlab.rewriting.memory import Known, Relayout, lies_same, relayout
from graphlab.rewriting.rewrite import Rewrite
from graphlab.rewriting.rotations import Rotation, multiplied, readers, rotated, turned
from graphlab.rewriting.twins import Twins

aten = torch.ops.aten
Node = torch.fx.Node

_JOINS = frozenset({
    aten.cat.default, aten.view.default, aten.reshape.default, aten._unsafe_view.default, aten.flatten.using_ints,
    aten.slice_scatter.default,
})  # fmt: skip


@dataclass(frozen=True)
class FuseRotaryEmbedding(Rewrite):
    """Rotary embeddings written out as one operator over x and one angle a pair of channels.

    Before: `r = aten.cat([aten.neg(x[..., 32:]), x[..., :32]], -1); y = aten.add(aten.mul(x, cos), aten.mul(r, sin))`
    After:  `y = graphlab.rotary_embedding(x, cos[..., :32], sin[..., :32], False, True)`

    Pairs may be halves or neighbours, tables as wide as x or half as wide, written as x cos + rotated(x) sin, pair by
    pair or as a product of complex numbers; channels that are left as they are (partial rotation) are taken up. Stays:
    wide tables whose two values of a pair are not shown to be equal, tables that differ by head, more axes than batch,
    heads, tokens and channels.
    """

    name: ClassVar[str] = "fuse-rotary-embedding"

    def apply(self, draft: Draft) -> None:
        """Asks about every sum, and about every join of two parts."""
        known: Known = {}
        twins = Twins(Constants(draft))
        for node in draft.calls(aten.add.Tensor, aten.view_as_real.default, *_JOINS):
            if node.target is aten.add.Tensor:
                found = rotated(node, twins)
            else:
                found = multiplied(node) if node.target is aten.view_as_real.default else turned(node)
            reason = _fuse(found, draft, known) if isinstance(found, Rotation) else found
            if reason is not None:
                draft.skip(node, reason)


def _fuse(found: Rotation, draft: Draft, known: Known) -> str | None:
    """Writes the operator; a str is why the tables or the readers do not take it."""
    heads_first = _heads_first(found)
    if isinstance(heads_first, str):
        return heads_first
    end, dtype = _end(found)
    if dtype is None:
        return f"it is computed in {found.inside} and returned in {end.meta['val'].dtype}"
    x = found.whole.node(draft, end)
    x, end = _partial(x, end) or (x, end)
    if x.meta["val"].dtype != dtype:
        x = draft.call(aten.to.dtype, x, dtype, at=end)
    cos, sin = _tables(found, draft, end)
    tables = [_rows(table, found, heads_first, draft, end) for table in (cos, sin)]
    new = draft.call(ROTARY_EMBEDDING, x, *tables, found.interleaved, heads_first, at=end)
    follows: Relayout | str | None = None
    if not lies_same(new.meta["val"], end.meta["val"]):
        follows = relayout(draft.mode, {end: new.meta["val"]}, known)
    if isinstance(follows, str):
        draft.sweep()
        return follows
    drop_assertions(draft, end)
    draft.replace(end, new, "channels turned by the angles of their token")
    if follows is not None:
        follows.write()
    return None


def _heads_first(found: Rotation) -> bool | str:
    """Whether the tables are those of x (b, h, t, d), or (b, t, d), and not (b, t, h, d); a str is why of neither."""
    rank = len(found.whole.shape)
    if not isinstance(found.whole.shape[-1], int):
        return "the number of channels depends on the inputs"
    if rank not in (3, 4):
        return f"it turns a tensor of {rank} axes, not batch, heads, tokens and channels"
    cos, sin = (_aligned(table, rank) for table in (found.cos, found.sin))
    if cos is None or sin is None:
        return f"{found.cos} and {found.sin} have more axes than what they turn"
    if not all(same_size(a, b) for a, b in zip(cos, sin, strict=True)):
        return f"{found.cos} and {found.sin} differ in shape"
    if rank == 3:
        return (
            True if not _is_one(cos[1]) or _is_one(found.whole.shape[1]) else f"{found.cos} is the same for all tokens"
        )
    if _is_one(cos[1]) and (not _is_one(cos[2]) or _is_one(found.whole.shape[2])):
        return True
    if _is_one(cos[2]) and (not _is_one(cos[1]) or _is_one(found.whole.shape[1])):
        return False
    return f"{found.cos} is the same for all tokens" if _is_one(cos[1]) else f"{found.cos} differs by head"


def _orders(table: list[Any], shape: tuple[Any, ...]) -> list[tuple[Any, Any, Any]]:
    """(size of the heads and of the tokens in the table, tokens of x), for heads before and after tokens."""
    if len(shape) == 3:
        return [(1, table[1], shape[1])]
    return [(table[1], table[2], shape[2]), (table[2], table[1], shape[1])]


def _aligned(table: Node, rank: int) -> list[Any] | None:
    shape = list(table.meta["val"].shape)
    return [1] * (rank - len(shape)) + shape if len(shape) <= rank else None


def _is_one(size: Any) -> bool:
    return isinstance(size, int) and size == 1


def _end(found: Rotation) -> tuple[Node, torch.dtype | None]:
    """(the last node of the rotation, the dtype x goes in with): that of x itself where it comes back in it."""
    own = found.whole.root.meta["val"].dtype
    tables = torch.promote_types(*(table.meta["val"].dtype.to_real() for table in (found.cos, found.sin)))
    direct = torch.promote_types(own, tables) == found.inside
    dtype = found.end.meta["val"].dtype
    after = readers(found.end)
    if dtype != own and direct and len(after) == 1 and is_cast(after[0]) and after[0].meta["val"].dtype == own:
        return after[0], own
    if dtype == own and direct:
        return found.end, own
    return found.end, dtype if dtype == found.inside else None


def _partial(x: Node, end: Node) -> tuple[Node, Node] | None:
    """(the tensor whose first channels x is, the join of the turned ones with the others); None without others."""
    cut, after = _cut(x), readers(end)
    if cut is None or len(after) != 1 or after[0].target is not aten.cat.default:
        return None
    given = arguments(after[0])
    source, start, size = cut
    parts = given["tensors"]
    if len(parts) != 2 or parts[0] is not end or given["dim"] % end.meta["val"].dim() != end.meta["val"].dim() - 1:
        return None
    rest = _cut(parts[1])
    if rest is None or rest[0] is not source or not same_size(start, 0) or not same_size(rest[1], size):
        return None
    whole = source.meta["val"]
    fits = same_size(size + rest[2], whole.shape[-1]) and after[0].meta["val"].dtype == whole.dtype
    return (source, after[0]) if fits else None


def _cut(node: Node) -> tuple[Node, Any, Any] | None:
    """(tensor, start, size) of channels cut out of a last axis."""
    source = node.args[0] if node.op == "call_function" and node.args else None
    if not isinstance(source, Node):
        return None
    value = node.meta["val"]
    if node.target is operator.getitem:
        rule, given = rule_for(str(source.target)), arguments(source) if source.op == "call_function" else {}
        whole = source.args[0]
        if rule is None or rule.axes != "split" or not isinstance(whole, Node) or "dim" not in given:
            return None
        pieces, index = source.meta["val"], int(node.args[1])  # type: ignore[arg-type]  # which of the pieces
        if value.dim() != whole.meta["val"].dim() or given["dim"] % value.dim() != value.dim() - 1:
            return None
        return whole, sum(piece.shape[-1] for piece in pieces[:index]), value.shape[-1]
    if node.target is aten.slice.Tensor:
        given = arguments(node)
        start = given["start"] or 0
        last = given["dim"] % value.dim() == value.dim() - 1 and given["step"] == 1
        if not last or not isinstance(start, int):
            return None
        return source, start + (source.meta["val"].shape[-1] if start < 0 else 0), value.shape[-1]
    return None


def _tables(found: Rotation, draft: Draft, at: Node) -> tuple[Node, Node]:
    """The cosines and sines, taken out of a complex table."""
    if not found.cos.meta["val"].is_complex():
        return found.cos, found.sin
    both = draft.call(aten.view_as_real.default, found.cos, at=at)
    cos, sin = (draft.call(aten.select.int, both, -1, index, at=at) for index in (0, 1))
    return cos, sin


def _rows(table: Node, found: Rotation, heads_first: bool, draft: Draft, at: Node) -> Node:
    """`table` as (b or 1, t, angles)."""
    rank = len(found.whole.shape)
    missing = rank - table.meta["val"].dim()
    heads = (1 if heads_first else 2) - missing
    if rank == 4 and heads >= 0:
        table = _without_axis(table, heads, draft, at)
    if table.meta["val"].dim() == 2:
        table = draft.call(aten.unsqueeze.default, table, 0, at=at)
    if not found.wide:
        return table
    width = int(found.whole.shape[-1])
    stop, step = (width, 2) if found.interleaved else (width // 2, 1)
    return draft.call(aten.slice.Tensor, table, 2, 0, stop, step, at=at)


def _without_axis(table: Node, axis: int, draft: Draft, at: Node) -> Node:
    """`table` without its axis `axis` of size 1."""
    if table.target is aten.unsqueeze.default and arguments(table)["dim"] % table.meta["val"].dim() == axis:
        source = table.args[0]
        assert isinstance(source, Node)
        return source
    return draft.call(aten.squeeze.dim, table, axis, at=at)
