"""`Group`: what several calls cost together, and how much of it is not known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from graphlab.facts import known_sum


@dataclass(frozen=True, slots=True)
class Group:
    """Sum over the calls of one category, role, module or op; `unknown` counts calls without a rule.

    `flops` and `pointwise_flops` are None where no call has a rule, and without those of the `unknown` calls where some
    have one: a lower bound. `bytes` are those with attention scores in memory. `seconds` is the sum of ideal times with
    fused attention, calls without a rule at their bytes alone; None without a device.
    """

    nodes: int = 0
    flops: int | None = 0
    pointwise_flops: int | None = 0
    bytes: int = 0
    unknown: int = 0
    seconds: float | None = None

    def __add__(self, other: Group) -> Group:
        timed = [item.seconds for item in (self, other) if item.seconds is not None]
        there = [item for item in (self, other) if item.nodes] or [self]
        return Group(
            self.nodes + other.nodes,
            known_sum(item.flops for item in there),
            known_sum(item.pointwise_flops for item in there),
            self.bytes + other.bytes,
            self.unknown + other.unknown,
            sum(timed) if timed else None,
        )

    def to_dict(self) -> dict[str, int | float | None]:
        """Every field by name, `unknown` as "unknown_nodes"."""
        return {
            "nodes": self.nodes,
            "unknown_nodes": self.unknown,
            "flops": self.flops,
            "pointwise_flops": self.pointwise_flops,
            "bytes": self.bytes,
            "seconds": self.seconds,
        }


def falling(groups: Mapping[str, Group]) -> dict[str, Group]:
    """`groups` in falling FLOPs, those of which none is known last, then in falling bytes, then by name."""
    return dict(sorted(groups.items(), key=lambda item: (-_rank(item[1]), -item[1].bytes, item[0])))


def _rank(group: Group) -> int:
    return -1 if group.flops is None else group.flops
