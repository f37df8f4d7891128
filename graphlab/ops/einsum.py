"""einsum, counted the way ATen runs it: pairwise, a batched matrix product where an axis is contracted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from graphlab.graph import Dim, TensorSpec
from graphlab.ops.rule import Work, op
from graphlab.ops.sizes import broadcast_size, is_one, product

Operand: TypeAlias = dict[str, Dim]
"""{axis label: size} of the axes that are not 1; axes under an ellipsis are labelled by their distance from its end."""


@op("aten.einsum.default", category="matmul", axes="einsum")
def einsum(equation: str, tensors: Sequence[TensorSpec], *, path: Any = None, out: TensorSpec) -> Work:
    """Two operands at a time, along `path` or left to right, as ATen does: an axis no later step needs is summed
    before the product when one operand has it (one pointwise FLOP an element), contracted when both do. A pair
    that contracts something is 2 * (all its axes); one that contracts nothing is a multiplication (pointwise)."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    operands = [_operand(term, spec.shape) for term, spec in zip(left.split(","), tensors, strict=True)]
    kept = _labels(right, 99) if arrow else _implicit(left, operands)
    work = Work()
    for i, j in _pairs(len(operands), path):
        second, first = operands.pop(max(i, j)), operands.pop(min(i, j))
        step, result = _pair(first, second, kept | {label for operand in operands for label in operand})
        operands.insert(len(operands) if path else 0, result)
        work = Work(work.flops + step.flops, work.pointwise + step.pointwise)
    last = operands[0]
    if set(last) - kept:
        work = Work(work.flops, work.pointwise + product(last.values()))
    return work


def _pairs(count: int, path: Any) -> Iterable[tuple[int, int]]:
    steps = tuple(path) if path else (0, 1) * (count - 1)
    return zip(steps[0::2], steps[1::2], strict=True)


def _labels(term: str, ellipsis_rank: int) -> frozenset[str]:
    named = term.replace("...", "")
    dots = (f".{i}" for i in range(ellipsis_rank)) if "..." in term else ()
    return frozenset(named) | frozenset(dots)


def _operand(term: str, shape: Sequence[Dim]) -> Operand:
    before, dots, after = term.partition("...")
    spread = len(shape) - len(before) - len(after)
    labels = [*before, *(f".{i}" for i in reversed(range(spread if dots else 0))), *after]
    sizes: Operand = {}
    for label, size in zip(labels, shape, strict=True):
        if not is_one(size):
            sizes[label] = broadcast_size((sizes.get(label, 1), size))
    return sizes


def _implicit(left: str, operands: Sequence[Operand]) -> frozenset[str]:
    """Without "->", labels that occur once are kept, and the ellipsis."""
    counts = Counter(left.replace(",", "").replace(".", ""))
    dots = {label for operand in operands for label in operand if label.startswith(".")}
    return frozenset(label for label, times in counts.items() if times == 1) | dots


def _pair(first: Mapping[str, Dim], second: Mapping[str, Dim], needed: frozenset[str]) -> tuple[Work, Operand]:
    pointwise: Dim = 0
    sides: list[Mapping[str, Dim]] = []
    for side, other in ((first, second), (second, first)):
        alone = [label for label in side if label not in needed and label not in other]
        if alone:
            pointwise = pointwise + product(side.values())
        sides.append({label: size for label, size in side.items() if label not in alone})
    contracted = [label for label in sides[0] if label in sides[1] and label not in needed]
    labels = dict.fromkeys((*sides[0], *sides[1]))
    union = {label: broadcast_size(side[label] for side in sides if label in side) for label in labels}
    result = {label: size for label, size in union.items() if label not in contracted}
    volume = product(union.values())
    return (Work(2 * volume, pointwise) if contracted else Work(0, pointwise + volume)), result
