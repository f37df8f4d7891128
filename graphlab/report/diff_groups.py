"""Groups and calls of a `DiffReport` as tables, the largest changes first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from graphlab.report.diff_data import (
    Change,
    GroupDiff,
    NodeDiff,
    NodeFacts,
    NodesDiff,
    PartDiff,
    Status,
    quantity_name,
    relative,
    total,
)
from graphlab.report.diff_tables import UNCOUNTED, change_cells, percent, signed
from graphlab.report.rewrite_data import pattern
from graphlab.report.tables import Column, Table

BY = ("category", "role", "module", "op", "node")
"""What `--by` takes of an analysis."""
KEYS = {"analyze": BY[0], "rewrite": "program", "profile": BY[0], "characterize": "stage", "bench": "candidate"}
"""{command: what its groups are by where nobody asked}."""


def groups_table(
    part: PartDiff, by: str, kind: str = "analyze", *, depth: int | None = None, top: int | None = None
) -> Table | None:
    """Groups of `part` that changed, the largest change first; None where no group is known, or none changed.

    Largest in FLOP, then bytes, seconds and calls. `kind` is the command they are of, `depth` cuts module paths to so
    many names, `top` the rows.
    """
    groups = part.by(by)
    if by == "module" and depth is not None:
        groups = _cut(groups, depth)
    rows = sorted((item for item in groups if item.status != "same"), key=_size, reverse=True)
    if not rows:
        return None
    names = [n for n in _MAIN if any(item.change(n) is not None for item in rows)]
    shown = rows if top is None else rows[:top]
    main = next((n for n in names if any((c := item.change(n)) is not None and c.changed for item in rows)), names[0])
    others = [n for n in _BESIDE if n != main and any((c := g.change(n)) is not None and c.changed for g in rows)]
    columns = (
        Column(by, number=False, whole=by != "module"),
        *map(Column, ("a", "b", "change", "in percent")),
        *(Column(quantity_name(kind, name)) for name in others),
    )
    said = quantity_name(kind, main)
    note = [f"a, b and change are {said}"] if others else []
    note += [f"{len(groups) - len(rows)} others are the same", "one call" if part.change("nodes") else ""]
    note += [f"--top {len(rows)} shows all"] if len(shown) < len(rows) else []
    note += [UNCOUNTED] if any(_uncounted(group, main) for group in shown) else []
    cells = tuple((_name(g), *_cells(g, main), *_changes(g, others)) for g in shown)
    return Table(f"{part.name}: {said} by {by}", columns, cells, note="; ".join(filter(None, note)))


_MAIN = ("flops", "seconds", "bytes", "bytes_materialized", "changes", "skips", "nodes", "pointwise", "params")
_BESIDE = ("pointwise", "bytes", "bytes_materialized", "nodes")


def _name(group: GroupDiff) -> str:
    mark = {"added": " (new)", "removed": " (gone)"}.get(group.status, "")
    return f"{group.name or '(top level)'}{mark}"


def _uncounted(group: GroupDiff, name: str) -> bool:
    item = group.change(name)
    return item is not None and bool(item.uncounted_a or item.uncounted_b)


def _size(group: GroupDiff) -> tuple[float, ...]:
    found = []
    for name in _MAIN:
        item = group.change(name)
        found.append(abs(float(item.absolute)) if item is not None and item.absolute is not None else 0.0)
    return tuple(found)


def _cells(group: GroupDiff, name: str) -> tuple[str, ...]:
    item = group.change(name)
    return change_cells(item) if item is not None else ("-",) * 4


def _changes(group: GroupDiff, names: Sequence[str]) -> list[str]:
    found = [group.change(name) for name in names]
    return [signed(c.absolute, c.unit) if c is not None and c.absolute is not None else "-" for c in found]


def _cut(groups: Sequence[GroupDiff], depth: int) -> tuple[GroupDiff, ...]:
    """Groups of equal first `depth` names of their path as one."""
    found: dict[str, list[GroupDiff]] = {}
    for item in groups:
        found.setdefault(".".join(item.name.split(".")[:depth]), []).append(item)
    return tuple(_joined(name, items) for name, items in found.items())


def _joined(name: str, items: Sequence[GroupDiff]) -> GroupDiff:
    changes = tuple(_sum([c for item in items if (c := item.change(q.quantity)) is not None]) for q in items[0].changes)
    states = {item.status for item in items}
    status: Status = items[0].status if len(states) == 1 else "changed"
    return GroupDiff(items[0].by, name, status, changes)


def _sum(items: Sequence[Change]) -> Change:
    a, uncounted_a = total([(item.a, item.uncounted_a) for item in items])
    b, uncounted_b = total([(item.b, item.uncounted_b) for item in items])
    return replace(items[0], a=a, b=b, uncounted_a=uncounted_a, uncounted_b=uncounted_b, timing=None)


def match_lines(nodes: NodesDiff) -> list[str]:
    """How calls of the two programs were matched, and how many could not be."""
    return [
        f"{nodes.by_shape} calls matched by module, operator and shape, in order",
        f"{nodes.by_module} of the rest by module and operator: their shape changed",
        f"{nodes.by_operator} of the rest by operator and shape: their module changed",
        f"{nodes.same} of the matched are the same in everything",
        f"not matched: {nodes.only_a} of a (removed), {nodes.only_b} of b (added)",
    ]


def nodes_table(part: PartDiff, top: int | None = None) -> Table | None:
    """Calls that differ, those alike in operator, modules' pattern and difference counted; None where none does."""
    if part.nodes is None or not part.nodes.rows:
        return None
    counts: dict[tuple[str, ...], int] = {}
    for item in part.nodes.rows:
        key = _key(item)
        counts[key] = counts.get(key, 0) + 1
    rows = sorted(counts.items(), key=lambda pair: -pair[1])
    shown = rows if top is None else rows[:top]
    heads = ("status", "op", "module", "what")
    columns = (Column("times"), *(Column(head, number=False) for head in heads))
    note = f"--top {len(rows)} shows all {len(rows)}" if len(shown) < len(rows) else ""
    return Table(f"{part.name}: calls", columns, tuple((f"{n} x", *key) for key, n in shown), note=note)


def _key(item: NodeDiff) -> tuple[str, ...]:
    op = _either(item, lambda facts: facts.op)
    module = _either(item, lambda facts: pattern(facts.module) or "(top level)")
    what = [f"{name}{_flops(item) if name == 'flops' else ''}" for name in item.what if name not in ("op", "module")]
    return (item.status, op, module, ", ".join(what))


def _flops(item: NodeDiff) -> str:
    share = relative(item.a.flops, item.b.flops) if item.a is not None and item.b is not None else None
    return f" {percent(share)}" if share is not None else ""


def _either(item: NodeDiff, read: Callable[[NodeFacts], str]) -> str:
    return " -> ".join(dict.fromkeys(read(side) for side in (item.a, item.b) if side is not None))
