"""Calls of two programs, matched by what they are and where, and what differs between matched ones."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence

from graphlab.report.data import NodeRow
from graphlab.report.diff_data import NodeDiff, NodeFacts, NodesDiff

Key = Callable[[NodeRow], object]
WAYS: tuple[Key, ...] = (
    lambda row: (row.module, row.op, row.shape),
    lambda row: (row.module, row.op),
    lambda row: (row.op, row.shape),
)
"""What a call is matched by, one after the other; among equals, in call order."""
_COMPARED = ("op", "module", "shape", "dtype", "flops", "pointwise_flops", "bytes")


def node_diffs(a: Sequence[NodeRow], b: Sequence[NodeRow]) -> NodesDiff:
    """The calls of `a` and `b` matched in the WAYS, each over what those before left; names of nodes play no part."""
    partner: dict[int, int] = {}
    counts = []
    for key in WAYS:
        found = _matched(a, b, key, partner)
        partner |= found
        counts.append(len(found))
    changed = [item for i, j in sorted(partner.items()) if (item := _changed(_facts(a[i]), _facts(b[j]))) is not None]
    taken = set(partner.values())
    removed = [NodeDiff("removed", (), _facts(row), None) for i, row in enumerate(a) if i not in partner]
    added = [NodeDiff("added", (), None, _facts(row)) for j, row in enumerate(b) if j not in taken]
    return NodesDiff(
        by_shape=counts[0],
        by_module=counts[1],
        by_operator=counts[2],
        same=len(partner) - len(changed),
        only_a=len(removed),
        only_b=len(added),
        rows=(*changed, *removed, *added),
    )


def _matched(a: Sequence[NodeRow], b: Sequence[NodeRow], key: Key, known: dict[int, int]) -> dict[int, int]:
    """{index in a: index in b} of calls of equal key that `known` has no partner for, first to first."""
    waiting: dict[object, deque[int]] = defaultdict(deque)
    for j in _left(len(b), set(known.values())):
        waiting[key(b[j])].append(j)
    return {i: waiting[key(a[i])].popleft() for i in _left(len(a), set(known)) if waiting.get(key(a[i]))}


def _left(count: int, taken: set[int]) -> Iterator[int]:
    return (index for index in range(count) if index not in taken)


def _facts(row: NodeRow) -> NodeFacts:
    return NodeFacts(
        name=row.name,
        op=row.op,
        module=row.module,
        shape=row.shape,
        dtype=row.dtype,
        flops=row.flops,
        pointwise_flops=row.pointwise_flops,
        bytes=row.bytes_read + row.bytes_written,
    )


def _changed(a: NodeFacts, b: NodeFacts) -> NodeDiff | None:
    what = tuple(name for name in _COMPARED if getattr(a, name) != getattr(b, name))
    return NodeDiff("changed", what, a, b) if what else None
