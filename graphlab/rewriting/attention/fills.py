"""What hidden scores become: which fills hide, and how low they are written so that rows hidden throughout stay right.

A fill replaces a score, a mask is added to it. Beside a number low enough the score does not show, and both are the
same. Where it would show, it only matters in rows that are hidden throughout: their queries are set to 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from graphlab.rewriting.attention.axes import Dims, Unmatched
from graphlab.rewriting.attention.constants import Known
from graphlab.rewriting.attention.path import LAYOUT, SAME_OPS

aten = torch.ops.aten
LEAST_FILL = -1000.0
"""A finite fill above this may leave weight on what it hides."""
MOST_SHIFT = 100.0
"""A number added to all scores changes nothing; one above this could bring them near a fill."""
_VANISH = -64.0
"""Scores up to half of this do not show beside a number whose last digit is worth as much, turned round."""


@dataclass(frozen=True, slots=True)
class Term:
    """One thing done to the scores, in order.

    `kind` "add": `node`, times `factor`, is added, in `dtype` where the scores are cast to one of less range later.
    "keep" and "drop": where the boolean `node` is False (True), the scores become `fill`. `dims` are the axes of
    `node`.
    """

    kind: str
    node: torch.fx.Node
    dims: Dims
    factor: Any = 1
    fill: float = -math.inf
    dtype: torch.dtype | None = None


@dataclass(frozen=True, slots=True)
class Levels:
    """How each finite fill is written, and whether the queries of rows hidden throughout must be 0 for it."""

    written: dict[float, float]
    still: bool = False


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


def rounded(term: Term, dtype: torch.dtype) -> Term:
    """`term` once the scores have `dtype`: a fill below its range is -inf."""
    if not dtype.is_floating_point:
        return term
    if term.kind != "add":
        return replace(term, fill=torch.tensor(term.fill, dtype=torch.float64).to(dtype).item())
    own = term.dtype or term.node.meta["val"].dtype
    narrower = not own.is_floating_point or torch.finfo(dtype).max < torch.finfo(own).max
    return replace(term, dtype=dtype) if narrower else term


def levels(terms: Sequence[Term], dtype: torch.dtype, *, hides: float, exact: bool) -> Levels:
    """How the finite fills of `terms` are written into a mask of `dtype`.

    `hides` is how low what is added may be, turned round; 0 where it hides nothing. Unmatched where rows hidden
    partly by the one and partly by the other cannot be kept right; without `exact` they need not be.
    """
    places = [index for index, term in enumerate(terms) if term.kind != "add" and term.fill != -math.inf]
    fills = list(dict.fromkeys(terms[index].fill for index in places))
    lowest = torch.finfo(dtype).min
    alone = len(fills) == 1 and not any(term.kind == "add" for term in terms[places[0] :])
    apart = not fills or 4 * hides < -max(fills)  # what is hidden by addition outweighs what is filled
    if not fills or not exact or (alone and apart):
        # Every key of a row hidden throughout weighs alike, however low the fill is written.
        return Levels(dict.fromkeys(fills, lowest / 2), still=exact and dtype is torch.float16 and bool(fills))
    written = {fill: max(fill, lowest) for fill in fills}
    digit = torch.finfo(dtype if dtype is torch.float64 else torch.float32).eps
    if all(low * digit <= _VANISH for low in written.values()):
        return Levels(written)
    words = " and ".join(f"{fill:g}" for fill in fills)
    if not apart:
        raise Unmatched(
            f"an added mask hides keys, and a fill of {words} others: rows hidden by both together would change "
            "(masked_rows=trust says that there are none)"
        )
    coarse = dtype in (torch.float16, torch.bfloat16) and not alone
    if len(set(written.values())) < len(fills) or coarse:
        raise Unmatched(f"hidden scores become {words}, which {dtype} does not tell from what is added to them")
    return Levels(written, still=True)
