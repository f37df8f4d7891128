"""What an HTML report says, before it is HTML."""

from __future__ import annotations

from dataclasses import dataclass

from graphlab.report.figure import Figure


@dataclass(frozen=True, slots=True)
class PlainTable:
    """A small table of text as it is shown: a cell a heading in every row."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, then paragraphs, then tables, then figures; each may be empty."""

    heading: str
    paragraphs: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[PlainTable, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A whole report, of any command.

    `subtitle` lines say what was looked at: models, device, versions, and a date where the caller wants one. Nothing is
    read from the clock or the machine, so the same document gives the same bytes.
    """

    title: str
    subtitle: tuple[str, ...] = ()
    sections: tuple[Section, ...] = ()
    assumptions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
