"""What the modules of a stage cost with everything in them, as a tree in depth-first order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from graphlab.report.data import StageReport
from graphlab.report.group import Group

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ModuleSum:
    """A module at its `level` (0: the stage itself) with what one call of the stage spends in it, modules within too.

    `attention_flops` are those of attention cores. `path` is "" for the stage, `name` the last part of it.
    """

    path: str
    level: int
    module_class: str
    cost: Group
    parameters: int
    attention_flops: int

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition(".")[2]


def module_sums(stage: StageReport) -> tuple[ModuleSum, ...]:
    """Every module of `stage`, each before those in it. A call counts in its innermost module and all around that."""
    classes = {row.path: row.module_class for row in stage.modules}
    parameters: dict[str, int] = {}
    for row in stage.modules:
        for path in homes(row.path):
            parameters[path] = parameters.get(path, 0) + row.parameters
    costs: dict[str, Group] = {}
    attention: dict[str, int] = {}
    for node in stage.nodes:
        classes.setdefault(node.module, node.module_class)
        for path in homes(node.module):
            costs[path] = costs.get(path, Group()) + node.group
            if node.attention is not None:
                attention[path] = attention.get(path, 0) + (node.flops or 0)
    found = list(dict.fromkeys(("", *parameters, *costs)))
    return tuple(
        ModuleSum(path, level, classes.get(path, ""), costs.get(path, Group()), parameters.get(path, 0),
                  attention.get(path, 0))
        for path, level in depth_first(found)
    )  # fmt: skip


def heaviest(rows: Sequence[T], most: int, weight: Callable[[T], float], level: Callable[[T], int]) -> list[T]:
    """At most `most` of the `rows` of a tree, those that weigh most, in their order.

    A module weighs at least as much as one within it and comes first where they weigh the same, so a tree is kept.
    """
    if len(rows) <= most:
        return list(rows)
    order = sorted(range(len(rows)), key=lambda place: (-weight(rows[place]), level(rows[place]), place))
    return [rows[place] for place in sorted(order[:most])]


def left_out(shown: int, whole: int, what: str) -> str:
    """What of a tree is not drawn, in words; "" for nothing."""
    if shown == whole:
        return ""
    return (
        f"too large to draw whole: the {shown:,} of {whole:,} modules with the most {what}; the others are added up in "
        "those around them"
    )


def homes(path: str) -> list[str]:
    """The stage (""), the modules around the one at `path`, and it itself."""
    names = path.split(".") if path else []
    return [".".join(names[:depth]) for depth in range(len(names) + 1)]


def depth_first(paths: Sequence[str]) -> list[tuple[str, int]]:
    """(path, level), each before those in it, siblings in the order of `paths`."""
    children: dict[str, list[str]] = {}
    for path in paths:
        if path:
            children.setdefault(path.rpartition(".")[0], []).append(path)
    found, pending = [], [("", 0)]
    while pending:
        path, level = pending.pop()
        found.append((path, level))
        pending += [(child, level + 1) for child in reversed(children.get(path, ()))]
    return found
