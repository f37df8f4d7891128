"""What the modules of a stage cost with everything in them, as a tree in depth-first order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphlab.report.data import Group, StageReport


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


@dataclass(frozen=True, slots=True)
class Cut:
    """The modules of a tree that are drawn, and how many there are; `level` is the deepest, None for all of them."""

    rows: tuple[ModuleSum, ...]
    whole: int
    level: int | None

    @property
    def note(self) -> str:
        """What is left out, in words; "" for nothing."""
        if self.level is None:
            return ""
        return (
            f"too large to draw whole: {len(self.rows):,} of {self.whole:,} modules, those down to level "
            f"{self.level + 1}; what is deeper is added up in them"
        )


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


def cut(rows: Sequence[ModuleSum], most: int) -> Cut:
    """`rows` down to the deepest level at which there are at most `most`; the first two levels always stay."""
    counts: dict[int, int] = {}
    for row in rows:
        counts[row.level] = counts.get(row.level, 0) + 1
    total, level = 0, 0
    for depth in sorted(counts):
        total += counts[depth]
        if total > most and depth > 1:
            break
        level = depth
    whole = level == max(counts, default=0)
    return Cut(tuple(row for row in rows if row.level <= level), len(rows), None if whole else level)


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
