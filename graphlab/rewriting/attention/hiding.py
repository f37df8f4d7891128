"""What an added mask may do: hold -inf, or finite numbers so low that they hide."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch

from graphlab.measuring.materialize import has_values
from graphlab.rewriting.attention.constants import Known
from graphlab.rewriting.attention.fills import LEAST_FILL, Term
from graphlab.rewriting.attention.path import LAYOUT, SAME_OPS
from graphlab.rewriting.draft import Draft

aten = torch.ops.aten
_COMPUTING = (
    aten.mul.Tensor, aten.mul.Scalar, aten.div.Tensor, aten.div.Scalar, aten.add.Tensor, aten.add.Scalar,
    aten.sub.Tensor, aten.sub.Scalar, aten.rsub.Scalar, aten.rsub.Tensor, aten.masked_fill.Scalar,
    aten.masked_fill.Tensor, aten.where.self, aten.where.ScalarOther, aten.where.ScalarSelf, aten.where.Scalar,
    aten.full.default, aten.full_like.default, aten.new_full.default, aten.scalar_tensor.default,
)  # fmt: skip
"""Operators whose numbers end up in the values of their results."""
_ENDS = (
    aten.linear.default, aten.matmul.default, aten.mm.default, aten.bmm.default, aten.addmm.default,
    aten.baddbmm.default, aten.einsum.default, aten.softmax.int, aten._softmax.default, aten.embedding.default,
    aten.layer_norm.default, aten.conv1d.default, aten.conv2d.default, aten.scaled_dot_product_attention.default,
)  # fmt: skip
"""Operators no mask goes through: what they return is a bias."""


def may_be_infinite(draft: Draft, term: Term, known: Known) -> bool:
    """Whether an added mask may hold -inf.

    It is an input as it came, a weight that does, made with -inf, or with numbers a dtype on the way cannot hold.
    """
    value = _value(draft, term, known)
    if value is not None:
        return bool((value == -math.inf).any())
    if _is_input(draft, term.node):
        return True
    chain = list(_chain(term.node))
    if any(-math.inf in item.args or -math.inf in item.kwargs.values() for item in chain):
        return True
    if any(item.target in (aten.log.default, aten.reciprocal.default) for item in chain):
        return True
    return _largest(chain, known) > min(_range(dtype) for dtype in (term.dtype, *map(_dtype, chain)))


def depth(draft: Draft, term: Term, known: Known) -> float:
    """How low finite numbers of an added mask may be, turned round: inf for an input, 0 where none of them hides."""
    value = _value(draft, term, known)
    if value is not None:
        low = -float(value[value.isfinite()].min()) if bool(value.isfinite().any()) else 0.0
    else:
        low = math.inf if _is_input(draft, term.node) else _largest(list(_chain(term.node)), known)
    return low if low >= -LEAST_FILL else 0.0


def _value(draft: Draft, term: Term, known: Known) -> torch.Tensor | None:
    """What is added, where it is known; of a trained weight its present value."""
    value = known.tensor(term.node)
    if value is None:
        weight = draft.weight(_base(term.node))
        value = weight.detach() if weight is not None and has_values(weight) else None
    if value is None or not isinstance(term.factor, (int, float)):
        return None
    value = value * term.factor
    return value.to(term.dtype) if term.dtype is not None else value


def _base(node: torch.fx.Node) -> torch.fx.Node:
    while node.op == "call_function" and (node.target in LAYOUT or node.target in SAME_OPS):
        node = node.args[0]  # type: ignore[assignment]  # these operators take a tensor first
    return node


def _is_input(draft: Draft, node: torch.fx.Node) -> bool:
    base = _base(node)
    return base.op == "placeholder" and draft.weight_key(base) is None


def _chain(node: torch.fx.Node) -> Iterator[torch.fx.Node]:
    """`node` and everything it is computed from, up to products."""
    pending, seen = [node], set()
    while pending:
        item = pending.pop()
        if item not in seen and item.target not in _ENDS:
            seen.add(item)
            pending.extend(item.all_input_nodes)
            yield item


def _largest(chain: list[torch.fx.Node], known: Known) -> float:
    """The largest finite number, whatever its sign, written into what `chain` computes."""
    numbers = [_size(arg, known) for item in chain if item.target in _COMPUTING for arg in item.args]
    return max(numbers, default=0.0)


def _size(arg: Any, known: Known) -> float:
    number = known.number(arg)
    return abs(number) if number is not None and math.isfinite(number) else 0.0


def _dtype(node: torch.fx.Node) -> torch.dtype | None:
    value = node.meta.get("val")
    return value.dtype if isinstance(value, torch.Tensor) else None


def _range(dtype: torch.dtype | None) -> float:
    """The largest number of a floating-point dtype; inf for others."""
    return torch.finfo(dtype).max if dtype is not None and dtype.is_floating_point else math.inf
