"""What happens between the score product and the softmax: a scale, factors of queries or keys, masks and biases."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch

from graphlab.rewriting.attention.axes import Axis, Dims, Unmatched
from graphlab.rewriting.attention.constants import Known
from graphlab.rewriting.attention.fills import LEAST_FILL, MOST_SHIFT, Term, fill_of, rounded
from graphlab.rewriting.attention.mask import aligned
from graphlab.rewriting.attention.match import Applied, Match


@dataclass(frozen=True, slots=True)
class Factor:
    """A tensor or a symbolic number the scores are multiplied by (divided by, with `inverse`), and its axes."""

    node: torch.fx.Node
    dims: Dims
    inverse: bool


@dataclass
class Scores:
    """The scale, the factors and the mask terms, in order; `shift` was added to all scores and is dropped."""

    scale: float
    factors: list[Factor]
    terms: list[Term]
    shift: float = 0.0


def read_scores(found: Match, known: Known) -> Scores:
    """The steps on the scores as one scale, factors and mask terms. Unmatched for a step that is none of these."""
    product = found.scores
    alpha = known.number(product.alpha)
    if alpha is None or alpha == 0:
        raise Unmatched("the factor of the score product is not known")
    scores = Scores(alpha, [], [])
    if product.addend is not None:
        dims = found.applied[0].dims if found.applied else _product_dims(found)
        scores.terms.append(Term("add", product.addend, aligned(product.addend, dims), product.beta))
    for applied in found.applied:
        _read(scores, applied, known)
        _round(scores, applied.step.node)
    _round(scores, found.norm.out)  # a softmax in another dtype casts first
    return scores


def _product_dims(found: Match) -> Dims:
    letters: dict[str, tuple[Axis, ...]] = {}
    for operand in (found.query, found.key):
        own = found.scores.left_dims if operand.node is found.scores.left else found.scores.right_dims
        letters.update({x: axes for x, axes in zip(own, operand.dims, strict=True) if x})
    return [letters.get(letter, ()) for letter in found.scores.out_dims]


def _round(scores: Scores, node: torch.fx.Node) -> None:
    """The terms so far in the dtype of `node`: what it cannot hold becomes -inf."""
    value = node.meta["val"]
    if isinstance(value, torch.Tensor):
        scores.terms[:] = [rounded(term, value.dtype) for term in scores.terms]


def _read(scores: Scores, applied: Applied, known: Known) -> None:
    step = applied.step
    if step.kind in ("layout", "same"):
        return
    if step.kind in ("scale", "divide"):
        _read_factor(scores, applied, known)
    elif step.kind in ("add", "subtract"):
        _read_addend(scores, applied, known)
    else:
        fill = fill_of(step.fill, known)
        if fill > LEAST_FILL * max(1.0, abs(scores.scale)):
            raise Unmatched(f"hidden scores become {fill:g}, which scores times {scores.scale:g} may fall below")
        condition = step.operand
        if not isinstance(condition, torch.fx.Node):
            raise Unmatched(f"{step.node.name} selects by no tensor")
        scores.terms.append(Term(step.kind, condition, aligned(condition, applied.dims), 1, fill))


def _read_factor(scores: Scores, applied: Applied, known: Known) -> None:
    step = applied.step
    number = known.number(step.operand)
    if number is not None:
        if step.kind == "divide" and number != 0:
            number = 1 / number
        _rescale(scores, number, known)
        return
    if scores.terms:
        raise Unmatched("masked scores are multiplied by a tensor")
    if scores.shift != 0:
        raise Unmatched(f"{step.node.name} multiplies scores to which a number was added by a tensor")
    node = step.operand
    dims = aligned(node, applied.dims) if isinstance(node.meta["val"], torch.Tensor) else []
    scores.factors.append(Factor(node, dims, step.kind == "divide"))


def _rescale(scores: Scores, value: Any, known: Known) -> None:
    """Multiplies the scores so far by the number `value`."""
    factor = known.number(value)
    if factor is None or factor == 0 or not math.isfinite(factor):
        raise Unmatched(f"the scores are multiplied by {value}")
    if factor != 1:
        scores.scale *= factor
        scores.terms[:] = [_term_times(term, factor) for term in scores.terms]
        _shift(scores, scores.shift * factor)


def _term_times(term: Term, factor: float) -> Term:
    """`term` after the scores it belongs to were multiplied by `factor`."""
    if term.kind == "add":
        return replace(term, factor=term.factor * factor)
    if factor < 0 or (term.fill != -math.inf and term.fill * factor > LEAST_FILL):
        raise Unmatched("hidden scores are scaled to where they leave weight")
    return replace(term, fill=term.fill * factor)


def _shift(scores: Scores, value: float) -> None:
    """Adds up to `value` on all scores alike, which changes no softmax unless it brings them near a fill."""
    if abs(value) > MOST_SHIFT or not math.isfinite(value):
        raise Unmatched(f"{value:g} is added to the scores")
    scores.shift = value


def _read_addend(scores: Scores, applied: Applied, known: Known) -> None:
    step = applied.step
    sign = -1 if step.kind == "subtract" else 1
    _rescale(scores, step.scale, known)
    number, factor = known.number(step.operand), known.number(step.factor)
    if number is not None and factor is not None:
        _shift(scores, scores.shift + sign * factor * number)
        return
    node = step.operand
    if not isinstance(node, torch.fx.Node) or not isinstance(node.meta["val"], torch.Tensor):
        raise Unmatched(f"{step.node.name} adds a number that is not known")
    if node.meta["val"].dtype == torch.bool:
        raise Unmatched(f"{step.node.name} adds a boolean to the scores")
    scores.terms.append(Term("add", node, aligned(node, applied.dims), sign * step.factor))
