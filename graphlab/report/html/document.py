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
class TreeRow:
    """One entry of a tree: its `name` at its `level` (0: a root), and a cell for every heading but the first."""

    level: int
    name: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TreeTable:
    """A table whose rows are a tree in depth-first order; rows deeper than `shown` levels start out closed.

    `headings` start with that of the names. The other columns hold numbers, but for those named in `texts`.
    """

    title: str
    headings: tuple[str, ...]
    rows: tuple[TreeRow, ...]
    texts: tuple[str, ...] = ()
    shown: int = 1
    note: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """Lines as they are, in a typewriter face; those of a `diff` start with "-", "+", "@" or "#"."""

    title: str
    lines: tuple[str, ...]
    diff: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """An image file's bytes, with what it shows in words (`alt`)."""

    title: str
    png: bytes
    alt: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, then paragraphs, pictures, tables, trees, figures and listings; each may be empty."""

    heading: str
    paragraphs: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[PlainTable, ...] = ()
    trees: tuple[TreeTable, ...] = ()
    listings: tuple[Listing, ...] = ()
    pictures: tuple[Picture, ...] = ()


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
