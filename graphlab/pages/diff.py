"""The page of `graphlab diff`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from graphlab.figures.charts import COLOURS, nominal, tooltip
from graphlab.report.diff_data import DiffReport, PartDiff, quantity_name
from graphlab.report.diff_tables import UNCOUNTED, change_cells, diff_fields, rule_lines, text_lines
from graphlab.report.diff_writers import head_tables, part_lists, part_tables
from graphlab.report.figure import Column, Figure, Value
from graphlab.report.html import Document, Listing, Section, plains

COLUMNS = (
    Column("place", "where"),
    Column("a", "a"),
    Column("b", "b"),
    Column("change", "change"),
    Column("change_share", "change of a"),
)


def diff_document(report: DiffReport) -> Document:
    """Rules and settings first, then how numbers moved, then each part that differs."""
    parts = [section for part in report.parts if part.status != "same" for section in _part(report, part)]
    rules = tuple(rule_lines(report))
    return Document(
        title=f"{report.a.label} and {report.b.label}",
        subtitle=tuple(f"{name}: {value}" for name, value in diff_fields(report)),
        sections=(
            *([Section("Rules", rules)] if rules else []),
            Section("Changes", tables=plains(head_tables(report)), figures=(changes_figure(report),)),
            *parts,
        ),
        notes=(*text_lines(report.texts), *report.notes),
    )


def _part(report: DiffReport, part: PartDiff) -> Iterator[Section]:
    tables = [table for by in (None, "module", "node") for table in part_tables(report, part, by, top=100)]
    distinct = {table.title: table for table in tables}
    lists = tuple(Listing(title, tuple(lines)) for title, lines in part_lists(report, part) if lines)
    yield Section(f"{part.name}: {part.status}", tables=plains(distinct.values()), listings=lists)


def changes_figure(report: DiffReport) -> Figure:
    """A row a quantity that differs, of all parts together and of each; bars are the change as a share of a."""
    rows = list(_rows(report))
    drawn = [row for row in rows if row["change_share"] is not None]
    return Figure(
        name="changes",
        title="How much changed",
        caption=f"b less a, as a share of a; numbers of one {report.per}.",
        columns=COLUMNS,
        rows=tuple(rows),
        chart=_chart(len(drawn)) if drawn else None,
        notes=tuple(_notes(report, rows)),
    )


def _notes(report: DiffReport, rows: Sequence[object]) -> Iterator[str]:
    if not rows:
        yield "no number differs"
    changes = [*report.totals, *(item for part in report.parts for item in part.changes)]
    if any(item.changed and (item.uncounted_a or item.uncounted_b) for item in changes):
        yield UNCOUNTED


def _rows(report: DiffReport) -> Iterator[dict[str, Value]]:
    found = [("all together", item) for item in report.totals]
    found += [(part.name, item) for part in report.parts for item in part.changes]
    for name, item in found:
        if item.changed:
            a, b, change, _ = change_cells(item)
            place = f"{name}: {quantity_name(report.kind, item.quantity)}"
            yield {"place": place, "a": a, "b": b, "change": change, "change_share": item.share}


def _chart(count: int) -> dict[str, Any]:
    x = {"field": "change_share", "type": "quantitative", "title": "(b - a) / a", "axis": {"format": "+.0%"}}
    bars = {
        "transform": [{"filter": "datum.change_share !== null"}],
        "mark": {"type": "bar", "color": COLOURS[0]},
        "encoding": {"x": x, "y": nominal("place"), "tooltip": tooltip(COLUMNS, "place", "a", "b", "change_share")},
    }
    return {
        "description": "Bars: by what share of a each quantity changed; to the right b has more.",
        "height": 20 * count + 10,
        "layer": [bars],
    }
