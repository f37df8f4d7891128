"""What masks and biases of an attention come to: one additive tensor, one boolean tensor, a causal flag, or nothing.

Rows that are masked throughout tell spellings apart: scores of -inf alone give NaN, a finite fill gives the mean of the
values, `scaled_dot_product_attention` gives 0. What cannot be shown to have no such row keeps its own meaning.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from graphlab.rewriting.attention.arrange import rearranged
from graphlab.rewriting.attention.axes import Dims, Unmatched, always_equal, dims_of, equal, shape_of
from graphlab.rewriting.attention.constants import Known
from graphlab.rewriting.attention.path import LAYOUT, SAME_OPS
from graphlab.rewriting.draft import Draft

aten = torch.ops.aten
LEAST_FILL = -1000.0
"""A finite fill above this may leave weight on what it hides."""
MOST_SHIFT = 100.0
"""A number added to all scores changes nothing; one above this could bring them near a fill."""


@dataclass(frozen=True, slots=True)
class Term:
    """One thing done to the scores, in order.

    `kind` "add": `node`, times `factor`, is added. "keep" and "drop": where the boolean `node` is False (True), the
    scores become `fill`. `dims` are the axes of `node`.
    """

    kind: str
    node: torch.fx.Node
    dims: Dims
    factor: Any = 1
    fill: float = -math.inf


@dataclass(frozen=True, slots=True)
class Mask:
    """The `attn_mask` of the fused call, whether it is causal instead, and where rows may be masked throughout.

    `dead` (batch, heads, queries, 1) is True for rows whose scores are all -inf, `even` for rows whose scores are all
    a finite fill that the dtype cannot make low enough; None when there is none.
    """

    node: torch.fx.Node | None = None
    causal: bool = False
    dead: torch.fx.Node | None = None
    even: torch.fx.Node | None = None
    note: str = ""


def aligned(node: torch.fx.Node, dims: Dims) -> Dims:
    """The axes of `node`, which broadcasts against scores with the axes `dims`."""
    shape = shape_of(node)
    if len(shape) > len(dims):
        raise Unmatched(f"{node.name} has more dimensions than the scores")
    own = dims_of(dims)[len(dims) - len(shape) :]
    return [() if equal(size, 1) else axes for size, axes in zip(shape, own, strict=True)]


def fill_of(value: Any, known: Known) -> float:
    """The number that hidden scores become; Unmatched where it is not one that hides."""
    number = _number(value, known)
    if number is None:
        raise Unmatched("what hidden scores are replaced by is no known number")
    if math.isnan(number) or number > LEAST_FILL:
        raise Unmatched(f"hidden scores become {number:g}, which leaves weight on them")
    return number


_LIKE = {aten.full_like.default: 1, aten.full.default: 1, aten.new_full.default: 2, aten.scalar_tensor.default: 0}


def _number(value: Any, known: Known) -> float | None:
    """A number, a tensor of one element or one filled with a number, whatever its size."""
    if isinstance(value, torch.fx.Node) and value.op == "call_function":
        if value.target in _LIKE:
            return known.number(value.args[_LIKE[value.target]])
        if value.target in LAYOUT or value.target in SAME_OPS:
            return _number(value.args[0], known)
    return known.number(value)


def combined(
    draft: Draft, terms: list[Term], target: Dims, dtype: torch.dtype, known: Known, *, exact: bool, at: torch.fx.Node
) -> Mask:
    """The Mask of `terms` for scores with the dimensions `target` (batch, heads, queries, keys).

    With `exact` rows that may be masked throughout are given back as `dead`.
    """
    if not terms:
        return Mask()
    if all(term.kind != "add" and term.fill == -math.inf for term in terms):
        return _boolean(draft, terms, target, known, exact, at)
    return _additive(draft, terms, target, dtype, known, exact, at)


def _boolean(draft: Draft, terms: list[Term], target: Dims, known: Known, exact: bool, at: torch.fx.Node) -> Mask:
    keep: torch.fx.Node | None = None
    alive = len(terms) == 1 and _no_dead_row(terms[0], known)
    if len(terms) == 1 and _is_causal(terms[0], target, known):
        return Mask(causal=True, note="causal flag")
    values = [known.tensor(term.node) for term in terms]
    for term in terms:
        node = rearranged(draft, _truth(draft, term, at), term.dims, target, at=at, stretch=False)
        keep = node if keep is None else draft.call(aten.logical_and.default, keep, node, at=at)
    assert keep is not None
    if alive or not exact or (all(v is not None for v in values) and _rows_alive(known, keep)):
        return Mask(keep, note="boolean mask")
    some = draft.call(aten.any.dim, keep, -1, True, at=at)
    dead = draft.call(aten.logical_not.default, some, at=at)
    return Mask(keep, dead=dead, note="boolean mask; rows masked throughout stay NaN")


def _rows_alive(known: Known, keep: torch.fx.Node) -> bool:
    value = known.tensor(keep)
    return value is not None and bool(value.any(-1).all())


def _truth(draft: Draft, term: Term, at: torch.fx.Node) -> torch.fx.Node:
    """The boolean tensor that is True where scores stay."""
    node = term.node
    if node.meta["val"].dtype != torch.bool:
        node = draft.call(aten.ne.Scalar, node, 0, at=at)
    return node if term.kind == "keep" else draft.call(aten.logical_not.default, node, at=at)


def _additive(
    draft: Draft, terms: list[Term], target: Dims, dtype: torch.dtype, known: Known, exact: bool, at: torch.fx.Node
) -> Mask:
    """One additive mask; a fill is made low enough that the scores below it do not show."""
    total: torch.fx.Node | None = None
    infinite = False
    for term in terms:
        if term.kind == "add":
            node = _scaled(draft, term, at)
            node = rearranged(draft, node, term.dims, target, at=at, stretch=False)
            infinite = infinite or may_be_infinite(draft, term.node, known)
            total = node if total is None else draft.call(aten.add.Tensor, total, node, at=at)
        else:
            infinite = infinite or term.fill == -math.inf
            total = _filled(draft, total, term, target, dtype, at)
    assert total is not None
    if total.meta["val"].dtype == torch.bool or not total.meta["val"].dtype.is_floating_point:
        total = draft.call(aten.to.dtype, total, dtype, at=at)
    dead = _all_infinite(draft, total, known, at) if infinite and exact else None
    note = "additive mask" if dead is None else "additive mask; rows masked throughout stay NaN"
    even = _even(draft, terms, target, known, at) if exact and dtype is torch.float16 else None
    return Mask(_narrowed(draft, total, dtype, at), dead=dead, even=even, note=note)


def _even(draft: Draft, terms: list[Term], target: Dims, known: Known, at: torch.fx.Node) -> torch.fx.Node | None:
    """(.., queries, 1): rows hidden throughout by finite fills, which weigh every key alike.

    In other dtypes the fill is low enough that scores do not show beside it; float16 has no such number.
    """
    every: torch.fx.Node | None = None
    for term in terms:
        if term.kind == "add" or term.fill == -math.inf or _no_dead_row(term, known):
            continue
        node = rearranged(draft, _hidden(draft, term, at), term.dims, target, at=at, stretch=False)
        every = node if every is None else draft.call(aten.logical_or.default, every, node, at=at)
    return None if every is None else draft.call(aten.all.dim, every, -1, True, at=at)


def _scaled(draft: Draft, term: Term, at: torch.fx.Node) -> torch.fx.Node:
    return term.node if term.factor == 1 else draft.call(aten.mul.Tensor, term.node, term.factor, at=at)


def _filled(
    draft: Draft, total: torch.fx.Node | None, term: Term, target: Dims, dtype: torch.dtype, at: torch.fx.Node
) -> torch.fx.Node:
    hidden = rearranged(draft, _hidden(draft, term, at), term.dims, target, at=at, stretch=False)
    kind = dtype if total is None else total.meta["val"].dtype
    fill = -math.inf if term.fill == -math.inf else torch.finfo(kind).min / 2
    device = term.node.meta["val"].device
    low = draft.call(aten.full.default, [], fill, dtype=kind, device=device, at=at)
    rest = total or draft.call(aten.full.default, [], 0.0, dtype=kind, device=device, at=at)
    return draft.call(aten.where.self, hidden, low, rest, at=at)


def _hidden(draft: Draft, term: Term, at: torch.fx.Node) -> torch.fx.Node:
    """The boolean tensor that is True where scores are replaced."""
    node = term.node
    if node.meta["val"].dtype != torch.bool:
        node = draft.call(aten.ne.Scalar, node, 0, at=at)
    return node if term.kind == "drop" else draft.call(aten.logical_not.default, node, at=at)


def _narrowed(draft: Draft, mask: torch.fx.Node, dtype: torch.dtype, at: torch.fx.Node) -> torch.fx.Node:
    """`mask` in the dtype of the queries; lowest values stay finite where the narrower dtype would make them -inf."""
    own = mask.meta["val"].dtype
    if own == dtype:
        return mask
    if torch.finfo(own).min < torch.finfo(dtype).min:
        mask = draft.call(aten.clamp.default, mask, torch.finfo(dtype).min, at=at)
    return draft.call(aten.to.dtype, mask, dtype, at=at)


def _all_infinite(draft: Draft, mask: torch.fx.Node, known: Known, at: torch.fx.Node) -> torch.fx.Node | None:
    """(.., queries, 1): rows of `mask` that are -inf throughout; None where it is known that there is none."""
    value = known.tensor(mask)
    if value is not None and not bool((value == -math.inf).all(-1).any()):
        return None
    equal_low = draft.call(aten.eq.Scalar, mask, -math.inf, at=at)
    return draft.call(aten.all.dim, equal_low, -1, True, at=at)


def may_be_infinite(draft: Draft, node: torch.fx.Node, known: Known) -> bool:
    """Whether an additive mask may hold -inf: it is an input as it came, a constant that does, or made with -inf."""
    value = known.tensor(node)
    if value is not None:
        return bool((value == -math.inf).any())
    base = node
    while base.op == "call_function" and (base.target in LAYOUT or base.target in SAME_OPS):
        base = base.args[0]  # type: ignore[assignment]  # these operators take a tensor first
    if base.op == "placeholder" and draft.weight_key(base) is None:
        return True
    pending, seen = [node], set()
    while pending:
        item = pending.pop()
        if item in seen:
            continue
        seen.add(item)
        if any(isinstance(arg, float) and arg == -math.inf for arg in (*item.args, *item.kwargs.values())):
            return True
        if item.target in (aten.log.default, aten.reciprocal.default):
            return True
        pending.extend(item.all_input_nodes)
    return False


def _no_dead_row(term: Term, known: Known) -> bool:
    """Whether every row keeps a key, shown by value or because it is causal from the first key on."""
    value = known.tensor(term.node)
    if value is not None:
        kept = value != 0 if term.kind == "keep" else value == 0
        return bool(kept.any(-1).all()) if kept.dim() else bool(kept)
    return triangle(term.node, keeps=term.kind == "keep") is not None


def _is_causal(term: Term, target: Dims, known: Known) -> bool:
    """Whether the term hides exactly the keys after each query, of as many queries as keys."""
    dims = dims_of(term.dims)
    queries, keys = dims_of(target)[-2:]
    if len(dims) < 2 or dims[-2] != queries or dims[-1] != keys or not queries or not keys:
        return False
    shape = shape_of(term.node)
    if not always_equal(shape[-1], shape[-2]):
        return False
    value = known.tensor(term.node)
    if value is not None:
        kept = value != 0 if term.kind == "keep" else value == 0
        lower = torch.ones(kept.shape[-2:], dtype=torch.bool).tril()
        return bool((kept == lower).all())
    return triangle(term.node, keeps=term.kind == "keep") == 0


def triangle(node: torch.fx.Node, *, keeps: bool) -> int | None:
    """The diagonal up to which a boolean triangle keeps keys: 0 is causal; None for any other tensor.

    Read off how it is made (`tril`, `triu`, comparing two ranges from 0), so that it holds at every size.
    """
    while _keeps_triangle(node):
        node = node.args[0]  # type: ignore[assignment]
    if node.target is aten.logical_not.default or node.target is aten.bitwise_not.default:
        inner = node.args[0]
        return triangle(inner, keeps=not keeps) if isinstance(inner, torch.fx.Node) else None
    diagonal = node.args[1] if len(node.args) > 1 else node.kwargs.get("diagonal", 0)
    if node.target in (aten.tril.default, aten.triu.default):
        if not _ones(node.args[0]) or not isinstance(diagonal, int):
            return None
        if node.target is aten.tril.default and keeps and diagonal >= 0:
            return diagonal
        return diagonal - 1 if node.target is aten.triu.default and not keeps and diagonal >= 1 else None
    return _compared(node, keeps)


def _keeps_triangle(node: torch.fx.Node) -> bool:
    """Whether the last two dimensions of `node` are those of its argument, from their first element on."""
    if node.op != "call_function" or not node.args or not isinstance(node.args[0], torch.fx.Node):
        return False
    if node.target in SAME_OPS:
        return True
    rank = node.meta["val"].dim()
    if node.target is aten.unsqueeze.default:
        place = node.args[1]
        assert isinstance(place, int)
        return bool(place % rank <= rank - 3)
    if node.target is aten.slice.Tensor:
        start = node.args[2] if len(node.args) > 2 else 0
        return bool(start in (0, None)) and bool(len(node.args) < 5 or node.args[4] == 1)
    if node.target is aten.expand.default:
        inner = shape_of(node.args[0])
        same = zip(shape_of(node)[-2:], inner[-2:], strict=False)
        return len(inner) >= 2 and all(equal(a, b) for a, b in same)
    return False


def _ones(node: Any) -> bool:
    """Whether `node` is a tensor of ones, or of True."""
    if not isinstance(node, torch.fx.Node) or node.op != "call_function":
        return False
    if node.target in (aten.ones.default, aten.ones_like.default):
        return True
    if node.target in (aten.full.default, aten.full_like.default):
        return node.args[1] in (1, True)
    return node.target in SAME_OPS and _ones(node.args[0])


def _compared(node: torch.fx.Node, keeps: bool) -> int | None:
    """`key position <= query position`, written either way round."""
    names = {aten.le.Tensor: ("k", "q", True), aten.ge.Tensor: ("q", "k", True),
             aten.gt.Tensor: ("k", "q", False), aten.lt.Tensor: ("q", "k", False)}  # fmt: skip
    if node.target not in names or len(node.args) < 2:
        return None
    first, second, kept = names[node.target]
    places = {first: _range_axis(node.args[0]), second: _range_axis(node.args[1])}
    return 0 if kept is keeps and places == {"k": -1, "q": -2} else None


def _range_axis(node: Any) -> int | None:
    """The axis (from the right) along which `node` counts 0, 1, 2, ...; None for any other tensor."""
    if not isinstance(node, torch.fx.Node) or not isinstance(node.meta.get("val"), torch.Tensor):
        return None
    base, shape = node, shape_of(node)
    while base.op == "call_function" and (base.target in LAYOUT or base.target in SAME_OPS):
        if base.target in (aten.expand.default, aten.expand_as.default, *_TURNING):
            return None if base.target not in _TURNING else _turned(node, base, shape)
        base = base.args[0]  # type: ignore[assignment]
    if not _counts(base):
        return None
    long = [index - len(shape) for index, size in enumerate(shape) if not equal(size, 1)]
    return long[0] if len(long) == 1 else None


_TURNING = (aten.view.default, aten.reshape.default)


def _turned(node: torch.fx.Node, base: torch.fx.Node, shape: list[Any]) -> int | None:
    """A view of a range that only adds dimensions of size 1."""
    inner = base.args[0]
    if not isinstance(inner, torch.fx.Node) or not _counts(inner):
        return None
    long = [index - len(shape) for index, size in enumerate(shape) if not equal(size, 1)]
    return long[0] if len(long) == 1 and equal(shape[long[0]], shape_of(inner)[0]) else None


def _counts(node: torch.fx.Node) -> bool:
    """Whether `node` is arange(n): 0, 1, 2, ..."""
    if node.target is aten.arange.default:
        return True
    if node.target is aten.arange.start:
        return bool(node.args[0] == 0)
    if node.target is not aten.arange.start_step:
        return False
    return bool(node.args[0] == 0 and (len(node.args) < 3 or node.args[2] == 1))
