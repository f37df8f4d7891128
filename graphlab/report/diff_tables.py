"""A `DiffReport` as tables and lines: what the terminal and the Markdown writer draw."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from graphlab.report.diff_data import (
    AttentionDiff,
    AttentionShape,
    Change,
    DiffReport,
    PartDiff,
    TextDiff,
    quantity_name,
)
from graphlab.report.tables import Column, Table
from graphlab.units import format_value

LOUD = "SETTINGS DIFFER: these change numbers without the model being another"
SETTINGS_NOTE = "what can be made the same: --set, --set-a, --set-b, --device; --per call leaves steps out"
UNCOUNTED = "+: calls without a rule are not in it, and changes are of what is counted"
_SIZES = ("batch", "heads", "q_tokens", "kv_tokens", "head_dim")


def diff_fields(report: DiffReport) -> list[tuple[str, str]]:
    """(name, value) of what is compared."""
    sides = (("a", report.a), ("b", report.b))
    lines = [(name, f"{side.label} ({side.given_as}, {side.workload})") for name, side in sides]
    what = f"numbers of `graphlab {report.kind}`, of one {report.per}"
    return [*lines, ("compared", f"{what}; changes are b's against a's"), ("outcome", _summary(report))]


def _summary(report: DiffReport) -> str:
    if report.same:
        return "nothing differs"
    parts = {status: [p.name for p in report.parts if p.status == status] for status in ("changed", "added", "removed")}
    found = [f"{status}: {', '.join(names)}" for status, names in parts.items() if names]
    return "; ".join([*(["settings differ"] if report.settings else []), *found]) or "only words differ"


def settings_table(report: DiffReport) -> Table | None:
    """Settings that differ, which come first; None where none does."""
    if not report.settings:
        return None
    columns = tuple(Column(head, number=False) for head in ("setting", "a", "b"))
    note = SETTINGS_NOTE if "source" in (report.a.given_as, report.b.given_as) else ""
    return Table(LOUD, columns, tuple((s.name, s.a, s.b) for s in report.settings), note=note)


def totals_table(report: DiffReport) -> Table | None:
    """Changes over all parts; None where there is one part, whose table says the same, or no sum."""
    if len(report.parts) < 2 or not report.totals:
        return None
    return changes_table(f"All stages, one {report.per}", report.totals, report.kind)


def changes_table(title: str, changes: Sequence[Change], kind: str = "analyze") -> Table:
    """A row a quantity that changed or is unknown; the note names the others. `kind` is the command they are of."""
    rows = [item for item in changes if item.changed or not item.known]
    shown = [item for item in rows if item.a is not None or item.b is not None]
    same = [quantity_name(kind, item.quantity) for item in changes if item not in rows]
    unknown = [quantity_name(kind, item.quantity) for item in rows if item not in shown]
    notes = [f"{word}: {', '.join(names)}" for word, names in (("same", same), ("unknown", unknown)) if names]
    notes += [UNCOUNTED] if any(item.uncounted_a or item.uncounted_b for item in shown) else []
    columns = (Column("quantity", number=False), *map(Column, ("a", "b", "change", "in percent")))
    cells = tuple((quantity_name(kind, item.quantity), *change_cells(item)) for item in shown)
    return Table(title, columns, cells, note="; ".join(notes))


def change_cells(item: Change) -> tuple[str, str, str, str]:
    """(a, b, b - a, percent) as text; "+" after a number that leaves calls without a rule out."""
    return (
        _number(item.a, item.unit, item.uncounted_a),
        _number(item.b, item.unit, item.uncounted_b),
        "-" if item.absolute is None else signed(item.absolute, item.unit),
        percent(item.relative),
    )


def _number(value: int | float | None, unit: str, uncounted: int) -> str:
    return "unknown" if value is None else format_value(value, unit) + ("+" if uncounted else "")


def signed(value: int | float, unit: str) -> str:
    """A change with its sign; "0" for none."""
    return f"+{format_value(value, unit)}" if value > 0 else format_value(value, unit) if value else "0"


def percent(share: float | None) -> str:
    """A relative change: "+1.5 %"; "new" from 0, "-" where unknown."""
    if share is None:
        return "-"
    if math.isinf(share):
        return "new"
    return f"{100 * share:+.4g} %" if share else "0 %"


def parts_table(report: DiffReport) -> Table | None:
    """A row a part with what happened to it, in percent; None for one part, or timings."""
    if len(report.parts) < 2 or not any(part.changes for part in report.parts):
        return None
    names = [n for n in _COLUMNS if any(part.change(n) and part.change(n).changed for part in report.parts)]  # type: ignore[union-attr]  # asked in the same breath
    heads = (Column(quantity_name(report.kind, name)) for name in names)
    columns = (Column("stage", number=False), Column("status", number=False), *heads)
    rows = tuple((part.name, part.status, *(_cell(part, name) for name in names)) for part in report.parts)
    notes = [] if names else ["every number is the same"]
    partly = [part.name for part in report.parts if any(c.uncounted_a or c.uncounted_b for c in part.changes)]
    notes += [f"changes are of what is counted: {', '.join(partly)} has calls without a rule"] if partly else []
    return Table("Stages: changes", columns, rows, note="; ".join(notes))


_COLUMNS = ("flops", "pointwise", "bytes", "peak_memory", "params", "weight_bytes", "seconds", "nodes", "attention")


def _cell(part: PartDiff, name: str) -> str:
    item = part.change(name)
    return percent(item.relative) if item is not None else "-"


def attention_table(part: PartDiff) -> Table | None:
    """Attentions that were added, removed or changed, alike ones counted; None where all are the same."""
    if not part.attention:
        return None
    sizes = ("batch", "heads", "queries", "keys", "width")
    status = Column("status", number=False, whole=True)
    columns = (Column("times"), status, Column("kind", number=False), *map(Column, sizes))
    rows = tuple((f"{item.count} x", item.status, *_attention_cells(item)) for item in part.attention)
    return Table(f"{part.name}: attention", columns, rows, note="one call; a -> b where they differ")


def _attention_cells(item: AttentionDiff) -> Iterator[str]:
    sides = [side for side in (item.a, item.b) if side is not None]
    yield " -> ".join(dict.fromkeys(_kind(side) for side in sides))
    for name in _SIZES:
        values = [getattr(side, name) for side in sides]
        yield " -> ".join(dict.fromkeys("unknown" if value is None else str(value) for value in values))


def _kind(shape: AttentionShape) -> str:
    """ "self spatial, causal, fused"; nothing is said of causality where there is none."""
    causal = {True: ", causal", False: "", None: ", causal unknown"}[shape.causal]
    spelled = "fused" if shape.fused else "spelled out"
    return f"{shape.kind or 'unknown'} {shape.axis or 'unknown'}{causal}, {spelled}"


def times_table(part: PartDiff) -> Table | None:
    """Measured times on both sides; None where nothing was measured."""
    named = [(f"{part.name}", item) for item in part.changes if item.timing is not None]
    named += [(g.name, item) for g in part.by("candidate") for item in g.changes if item.timing is not None]
    rows = [(name, item) for name, item in named if item.a is not None or item.b is not None]
    if not rows:
        return None
    columns = (
        Column("what", number=False, whole=True),
        Column("quantity", number=False, whole=True),
        *map(Column, ("a", "b", "times as fast", "95 %")),
        Column("verdict", number=False, whole=True),
    )
    whys = dict.fromkeys(item.timing.why for _, item in rows if item.timing is not None and item.timing.why)
    note = "; ".join([_NOTE, *(f"unknown: {why}" for why in whys)])
    return Table(f"{part.name}: measured", columns, tuple(_time_row(name, item) for name, item in rows), note=note)


_NOTE = "times as fast: median of a over median of b; two separate runs, so each is drawn on its own"


def _time_row(name: str, item: Change) -> tuple[str, ...]:
    timing = item.timing
    assert timing is not None
    a, b, _, _ = change_cells(item)
    ends = timing.ratio_interval
    interval = f"{ends.low:.3f} to {ends.high:.3f}" if ends is not None else "-"
    ratio = f"{timing.ratio:.3f}" if timing.ratio is not None else "-"
    return (name, item.quantity, a, b, ratio, interval, timing.verdict)


def text_lines(texts: Iterable[TextDiff]) -> Iterator[str]:
    """Two lines a text that differs: "- name: a" and "+ name: b"."""
    for item in texts:
        yield f"a {item.name}: {item.a}"
        yield f"b {item.name}: {item.b}"


def rule_lines(report: DiffReport) -> Iterator[str]:
    """A line a result of a rule, the outcome first."""
    reminder = " (settings differ)" if report.settings else ""
    for item in report.rules:
        yield f"{item.outcome.upper()} {item.rule}: {item.why}{reminder if item.outcome != 'held' else ''}"
