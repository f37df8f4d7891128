"""Draws tables on a terminal: the only module that imports rich, and only when something is drawn."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from graphlab.report.tables import Table

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

BAR_CELLS = 12
"""How wide the bar of a whole is where there is room; a narrower terminal gets shorter bars, all on one scale."""
LEAST_CELLS = 4
"""With less room than this there are no bars."""
BAR_GAP = 2
"""Cells that bars stand apart."""


def console(stream: TextIO) -> Console:
    """A rich console on `stream` that reads no markup and lets a closed pipe be the caller's matter."""
    from rich.console import Console

    class Plain(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return Plain(file=stream, markup=False, highlight=False, emoji=False, soft_wrap=False)


def literal(text: str, style: str = "") -> Text:
    """`text` as it is: brackets are no markup, and control characters are shown, not obeyed."""
    from rich.text import Text

    return Text("".join(c if c.isprintable() else repr(c)[1:-1] for c in text), style=style)


def print_table(out: Console, table: Table) -> None:
    """`table` with its title and note. Text columns fold to the width of the terminal, numbers never do.

    Where the table does not fit, or its bars do not beside it, heads of several words stand on several lines.
    """
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    heads = [column.head for column in table.columns]
    if _room(out, table, heads) < (0 if table.shares is None else LEAST_CELLS + BAR_GAP):
        heads = [_broken(table, index) for index in range(len(heads))]
    grid = RichTable(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for index, column in enumerate(table.columns):
        grid.add_column(
            Text("\n").join(map(literal, heads[index].split("\n"))),
            justify="right" if column.number else "left",
            no_wrap=column.number or column.whole,
            overflow="fold",
            min_width=_column_width(table, index, heads) if column.number or column.whole else None,
        )
    cells = min(BAR_CELLS, _room(out, table, heads) - BAR_GAP)
    bars = table.shares if table.shares is not None and cells >= LEAST_CELLS else None
    if bars is not None:
        grid.add_column("", no_wrap=True, min_width=cells)
    for number, row in enumerate(table.rows):
        bar = [literal(_bar(out, bars[number], cells), "cyan")] if bars is not None else []
        grid.add_row(*map(literal, row), *bar)
    out.print()
    out.print(literal(table.title, "bold"))
    if _least(table, heads) > out.width:  # rich would let wide numbers push text columns out
        grid.width = _least(table, heads)
    out.print(grid, crop=False)
    if table.note:
        out.print(literal(table.note, "dim"))


def _broken(table: Table, index: int) -> str:
    """The head of a column of numbers, broken between words to be no wider than they are where it can."""
    column = table.columns[index]
    if not column.number:
        return column.head
    longest = max(map(len, [*column.head.split(), *(row[index] for row in table.rows)]), default=1)
    return "\n".join(textwrap.wrap(column.head, longest, break_on_hyphens=False)) or column.head


def _column_width(table: Table, index: int, heads: Sequence[str]) -> int:
    """Cells of the widest line of a column as it is drawn: control characters take more than one."""
    return max(literal(text).cell_len for text in [*heads[index].split("\n"), *(row[index] for row in table.rows)])


def _least(table: Table, heads: Sequence[str]) -> int:
    """The width below which numbers would have to be cut: theirs, and 8 cells for each text column."""
    widths = [(column.number or column.whole, _column_width(table, i, heads)) for i, column in enumerate(table.columns)]
    return sum(width if whole else min(8, width) for whole, width in widths) + 2 * len(widths) - 1


def _room(out: Console, table: Table, heads: Sequence[str]) -> int:
    """Cells that are left beside the columns under `heads`; below 0 where they do not fit."""
    widths = [_column_width(table, index, heads) for index in range(len(heads))]
    return out.width - sum(widths) - 2 * (len(widths) - 1)


def _bar(out: Console, share: float, cells: int) -> str:
    block = "\u2588" if out.encoding.lower().startswith("utf") else "#"
    return block * round(share * cells)


def print_fields(out: Console, fields: Iterable[tuple[str, str]], title: str | None = None) -> None:
    """Lines of "name   value" with the names aligned."""
    rows = list(fields)
    if title is not None:
        out.print(literal(title, "bold"))
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        line = literal(name.ljust(width) + "  ", "dim")
        line.append_text(literal(value))
        out.print(line, soft_wrap=True)


def print_lines(out: Console, title: str, lines: Iterable[str]) -> None:
    """`title` and a dashed list under it; nothing for no lines."""
    rows = list(lines)
    if not rows:
        return
    out.print()
    out.print(literal(title, "bold"))
    for line in rows:
        out.print(literal(f"- {line}"), soft_wrap=True)


@contextmanager
def progress(total: int) -> Iterator[Callable[[str], None]]:
    """A function to call with the name of each stage as it starts; on a terminal it shows a bar with the time.

    The bar is on standard error as it is now: capturing a model redirects `sys.stderr` for a while.
    """
    stream = sys.stderr
    if not stream.isatty():
        yield lambda name: None
        return
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    shown = Progress(
        SpinnerColumn(),
        BarColumn(bar_width=20),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        console=console(stream),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with shown as bar:
        task = bar.add_task("capturing", total=total)
        names: list[str] = []

        def stage(name: str) -> None:
            bar.update(task, completed=len(names), description=f"capturing {literal(name).plain}")
            names.append(name)

        yield stage
