"""Attentions of two stages by shape: which are on one side alone, and which took another shape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from graphlab.report.diff_data import AttentionDiff, AttentionShape, Status


def attention_diffs(a: Sequence[AttentionShape], b: Sequence[AttentionShape]) -> tuple[AttentionDiff, ...]:
    """What is left when attentions of equal shape are taken out in pairs, alike ones counted.

    The rest are paired in call order, those of one kind over one axis first, then those of which one side does not
    know it; what has no partner was added or removed: a cross-attention never becomes a self-attention.
    """
    both = Counter(a) & Counter(b)
    left, right = _without(a, both), _without(b, both)
    pairs = [*_pairs(left, right, alike=True), *_pairs(left, right, alike=False)]
    counts = Counter([*pairs, *((item, None) for item in left), *((None, item) for item in right)])
    return tuple(AttentionDiff(_status(*pair), count, *pair) for pair, count in counts.items())


def _status(a: AttentionShape | None, b: AttentionShape | None) -> Status:
    if a is None or b is None:
        return "added" if a is None else "removed"
    return "changed"


def _without(shapes: Sequence[AttentionShape], taken: Counter[AttentionShape]) -> list[AttentionShape]:
    left = Counter(taken)
    found = []
    for shape in shapes:
        if left[shape]:
            left[shape] -= 1
        else:
            found.append(shape)
    return found


def _pairs(
    left: list[AttentionShape], right: list[AttentionShape], *, alike: bool
) -> Iterator[tuple[AttentionShape, AttentionShape]]:
    """Pairs in call order, taken out of both lists."""
    for item in list(left):
        partner = next((other for other in right if _same(item, other, alike=alike)), None)
        if partner is not None:
            left.remove(item)
            right.remove(partner)
            yield item, partner


def _same(a: AttentionShape, b: AttentionShape, *, alike: bool) -> bool:
    """Whether the two are of one kind; not `alike`, also where what differs is unknown on a side."""
    pairs = list(zip(_kind(a), _kind(b), strict=True))
    return all(left == right or (not alike and None in (left, right)) for left, right in pairs)


def _kind(shape: AttentionShape) -> tuple[object, ...]:
    return (shape.kind, shape.axis, shape.causal)
