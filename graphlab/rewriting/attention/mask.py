"""What masks and biases of an attention come to: one additive tensor, one boolean tensor, a causal flag, or nothing.

Rows that are masked throughout tell spellings apart: scores of -inf alone give NaN, a finite fill gives the mean of the
values, `scaled_dot_product_attention` gives 0. What cannot be shown to have no such row keeps its own meaning.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from graphlab.rewriting.attention.arrange import rearranged
from graphlab.rewriting.attention.axes import Dims, Unmatched, always_equal, dims_of, equal, shape_of
from graphlab.rewriting.attention.constants import Known
from graphlab.rewriting.attention.fills import Levels, Term
from graphlab.rewriting.attention.fills import levels as fill_levels
from graphlab.rewriting.attention.hiding import depth, may_be_infinite
from graphlab.rewriting.attention.triangle import triangle
from graphlab.rewriting.draft import Draft

aten = torch.ops.aten


@dataclass(frozen=True, slots=True)
class Mask:
    """The `attn_mask` of the fused call, whether it is causal instead, and where rows may be masked throughout.

    `dead` (batch, heads, queries, 1) is True for rows whose scores are all -inf, `still` for rows hidden throughout by
    fills beside which their scores would show: their queries must be 0. None when there is none.
    """

    node: torch.fx.Node | None = None
    causal: bool = False
    dead: torch.fx.Node | None = None
    still: torch.fx.Node | None = None
    note: str = ""


def aligned(node: torch.fx.Node, dims: Dims) -> Dims:
    """The axes of `node`, which broadcasts against scores with the axes `dims`."""
    shape = shape_of(node)
    if len(shape) > len(dims):
        raise Unmatched(f"{node.name} has more dimensions than the scores")
    own = dims_of(dims)[len(dims) - len(shape) :]
    return [() if equal(size, 1) else axes for size, axes in zip(shape, own, strict=True)]


def combined(
    draft: Draft,
    terms: list[Term],
    target: Dims,
    dtype: torch.dtype,
    known: Known,
    *,
    exact: bool,
    nan: bool,
    at: torch.fx.Node,
) -> Mask:
    """The Mask of `terms` for scores with the dimensions `target` (batch, heads, queries, keys).

    With `nan` rows that may be -inf throughout are given back as `dead`, with `exact` those of fills are kept right.
    """
    if not terms:
        return Mask()
    if all(term.kind != "add" and term.fill == -math.inf for term in terms):
        return _boolean(draft, terms, target, known, nan, at)
    return _additive(draft, terms, target, dtype, known, exact, nan, at)


def _boolean(draft: Draft, terms: list[Term], target: Dims, known: Known, nan: bool, at: torch.fx.Node) -> Mask:
    keep: torch.fx.Node | None = None
    alive = len(terms) == 1 and _no_dead_row(terms[0], target, known)
    if len(terms) == 1 and _is_causal(terms[0], target, known):
        return Mask(causal=True, note="causal flag")
    values = [known.tensor(term.node) for term in terms]
    for term in terms:
        node = rearranged(draft, _truth(draft, term, at), term.dims, target, at=at, stretch=False)
        keep = node if keep is None else draft.call(aten.logical_and.default, keep, node, at=at)
    assert keep is not None
    if alive or not nan or (all(v is not None for v in values) and _rows_alive(known, keep)):
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
    draft: Draft,
    terms: list[Term],
    target: Dims,
    dtype: torch.dtype,
    known: Known,
    exact: bool,
    nan: bool,
    at: torch.fx.Node,
) -> Mask:
    """One additive mask; a fill is made low enough that the scores below it do not show."""
    added = [term for term in terms if term.kind == "add"]
    filled = [term for term in terms if term.kind != "add" and term.fill != -math.inf]
    depths = [depth(draft, term, known) for term in added]
    holes = [may_be_infinite(draft, term, known) for term in added]
    below = any(holes) or any(term.kind != "add" and term.fill == -math.inf for term in terms)
    late = bool(filled) and any(term.kind == "add" for term in terms[terms.index(filled[0]) :])
    hides = math.inf if late and any(holes) else max(depths, default=0.0)
    levels = fill_levels(terms, dtype, hides=hides, exact=exact)
    total: torch.fx.Node | None = None
    for term in terms:
        if term.kind == "add":
            node = rearranged(draft, _scaled(draft, term, dtype, at), term.dims, target, at=at, stretch=False)
            total = node if total is None else draft.call(aten.add.Tensor, total, node, at=at)
        else:
            total = _filled(draft, total, term, levels, target, dtype, at)
    assert total is not None
    # Two numbers near the least of a dtype add up to -inf.
    below = below or sum(low > 0 for low in depths) + bool(filled) > 1
    dead = _all_infinite(draft, total, known, at) if below and nan else None
    note = "additive mask" if dead is None else "additive mask; rows masked throughout stay NaN"
    still = _still(draft, terms, target, known, at) if levels.still else None
    return Mask(_narrowed(draft, total, dtype, at), dead=dead, still=still, note=note)


def _still(draft: Draft, terms: list[Term], target: Dims, known: Known, at: torch.fx.Node) -> torch.fx.Node | None:
    """(.., queries, 1): rows hidden throughout by fills; None where it is known that there is none."""
    fills = [term for term in terms if term.kind != "add"]
    if len(fills) == 1 and _no_dead_row(fills[0], target, known):
        return None
    every: torch.fx.Node | None = None
    for term in fills:
        node = rearranged(draft, _hidden(draft, term, at), term.dims, target, at=at, stretch=False)
        every = node if every is None else draft.call(aten.logical_or.default, every, node, at=at)
    assert every is not None
    value = known.tensor(every)
    if value is not None and not bool(value.all(-1).any()):
        return None
    return draft.call(aten.all.dim, every, -1, True, at=at)


def _scaled(draft: Draft, term: Term, dtype: torch.dtype, at: torch.fx.Node) -> torch.fx.Node:
    """What `term` adds, as floating-point numbers."""
    node = term.node
    if not node.meta["val"].dtype.is_floating_point:
        node = draft.call(aten.to.dtype, node, term.dtype or dtype, at=at)
    if term.factor != 1:
        node = draft.call(aten.mul.Tensor, node, term.factor, at=at)
    if term.dtype in (None, node.meta["val"].dtype):
        return node
    return draft.call(aten.to.dtype, node, term.dtype, at=at)


def _filled(
    draft: Draft,
    total: torch.fx.Node | None,
    term: Term,
    levels: Levels,
    target: Dims,
    dtype: torch.dtype,
    at: torch.fx.Node,
) -> torch.fx.Node:
    hidden = rearranged(draft, _hidden(draft, term, at), term.dims, target, at=at, stretch=False)
    kind = dtype if total is None else torch.promote_types(total.meta["val"].dtype, dtype)
    fill = levels.written.get(term.fill, -math.inf)
    device = term.node.meta["val"].device
    low = draft.call(aten.full.default, [], fill, dtype=kind, device=device, at=at)
    rest = total or draft.call(aten.full.default, [], 0.0, dtype=kind, device=device, at=at)
    if rest.meta["val"].dtype != kind:
        rest = draft.call(aten.to.dtype, rest, kind, at=at)
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


def _no_dead_row(term: Term, target: Dims, known: Known) -> bool:
    """Whether every row keeps a key, shown by value or because it is causal from the first key on."""
    value, last = known.tensor(term.node), dims_of(term.dims)[-1:]
    if last != dims_of([target[3]]):  # its rows are no rows of keys, or it has one value for all keys
        return value is not None and not bool((value == 0 if term.kind == "keep" else value != 0).any())
    if value is not None:
        kept = value != 0 if term.kind == "keep" else value == 0
        return bool(kept.any(-1).all())
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
