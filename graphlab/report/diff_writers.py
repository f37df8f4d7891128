"""A `DiffReport` as Markdown text, and the order of its tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from graphlab.report.diff_data import DiffReport, PartDiff
from graphlab.report.diff_groups import KEYS, groups_table, match_lines, nodes_table
from graphlab.report.diff_tables import (
    attention_table,
    changes_table,
    diff_fields,
    parts_table,
    rule_lines,
    settings_table,
    text_lines,
    times_table,
    totals_table,
)
from graphlab.report.markdown import escape, markdown_fields, markdown_list, markdown_table
from graphlab.report.tables import Table


def head_tables(report: DiffReport) -> Iterator[Table]:
    """Settings that differ, then what is over all parts."""
    yield from (t for t in (settings_table(report), totals_table(report), parts_table(report)) if t is not None)


def part_tables(
    report: DiffReport, part: PartDiff, by: str | None = None, *, depth: int | None = None, top: int | None = None
) -> Iterator[Table]:
    """Every table about one part; `by` is what groups are by, or "node" for calls one by one."""
    if part.changes and not all(item.timing is not None for item in part.changes):
        yield changes_table(f"{part.name}: one {report.per}", part.changes, report.kind)
    if part.status in ("added", "removed"):
        return
    chosen = by or KEYS[report.kind]
    grouped = None if chosen in ("node", "candidate") else groups_table(part, chosen, report.kind, depth=depth, top=top)
    calls = nodes_table(part, top) if chosen == "node" else None
    yield from (t for t in (times_table(part), grouped, calls, attention_table(part)) if t is not None)


def body(
    report: DiffReport, by: str | None = None, *, depth: int | None = None, top: int | None = None
) -> Iterator[Table | tuple[str, Iterable[str]]]:
    """The report but for its fields and rules, in order: tables, and (title, lines) of lists."""
    yield from head_tables(report)
    for part in report.parts:
        if part.status != "same":
            yield from part_tables(report, part, by, depth=depth, top=top)
            yield from part_lists(report, part, by)
    yield "Words that differ", text_lines(report.texts)
    yield "Notes", report.notes


def diff_markdown(
    report: DiffReport, by: str | None = None, *, depth: int | None = None, top: int | None = None
) -> str:
    """The report as GitHub-flavoured Markdown, ending in one newline: rules and settings come first."""
    blocks = [f"# {escape(report.a.label)} and {escape(report.b.label)}", markdown_fields(diff_fields(report))]
    blocks += markdown_list("Rules", rule_lines(report))
    for item in body(report, by, depth=depth, top=top):
        blocks += [markdown_table(item)] if isinstance(item, Table) else markdown_list(*item)
    return "\n\n".join(blocks) + "\n"


def part_lists(report: DiffReport, part: PartDiff, by: str | None = None) -> Iterator[tuple[str, list[str]]]:
    """(title, lines) of what is told about a part beside its tables; `by` is what groups were asked for by."""
    known = part.nodes is not None if by == "node" else by is None or bool(part.by(by))
    if not known and part.status == "changed":
        yield f"{part.name}: by {by}", [_unknown(report.kind, part)]
    yield f"{part.name}: expressions that differ", list(text_lines(part.texts))
    yield f"{part.name}: how calls were matched", match_lines(part.nodes) if part.nodes is not None else []
    yield f"{part.name}: notes", list(part.notes)


def _unknown(kind: str, part: PartDiff) -> str:
    """Why a part has no groups of the kind that was asked for."""
    if kind == "analyze":
        return "not known: an older version wrote one of the reports without its calls; write it again"
    kinds = ", ".join(dict.fromkeys(group.by for group in part.groups))
    return f"not known: the numbers of `graphlab {kind}` are by {kinds or 'nothing else'}"
