"""The progress bar: on a terminal only, and on the stream that was there when it started."""

from __future__ import annotations

import io
import sys

import pytest

from graphlab.cli.render import console, print_lines, print_table, progress
from graphlab.report.tables import Column, Table


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar_with_the_stage_and_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, elsewhere = Terminal(), io.StringIO()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress(2) as stage:
        monkeypatch.setattr(sys, "stderr", elsewhere)
        stage("text_encoder")
        stage("[red]unet")
    shown = terminal.getvalue()
    assert "capturing [red]unet" in shown
    assert "0:00:0" in shown
    assert elsewhere.getvalue() == ""


def test_a_file_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with progress(1) as stage:
        stage("unet")
    assert stream.getvalue() == ""


def test_no_lines_no_title() -> None:
    stream = io.StringIO()
    print_lines(console(stream), "Notes", [])
    assert stream.getvalue() == ""


@pytest.mark.parametrize("width", [20, 60, 80, 200])
def test_wide_numbers_never_push_a_text_column_out(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    columns = (Column("name", number=False), *(Column("h" * 12) for _ in range(7)))
    stream = io.StringIO()
    print_table(console(stream), Table("t", columns, (("some.module.path", *["1" * 12] * 7),)))
    lines = stream.getvalue().splitlines()
    assert "some.mod" in lines[4]
    assert lines[4].count("1" * 12) == 7


def shown(table: Table, width: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(width))
    stream = io.StringIO()
    print_table(console(stream), table)
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_heads_break_between_words_where_the_table_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = (Column("category", number=False), Column("materialized bytes"), Column("FLOP"))
    table = Table("t", columns, (("linear", "24.25 KiB", "131.1 k"),))
    assert shown(table, 80, monkeypatch)[2] == "category  materialized bytes     FLOP"
    assert shown(table, 34, monkeypatch)[2:4] == ["          materialized", "category         bytes     FLOP"]


def test_heads_break_before_bars_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = (Column("category", number=False), Column("materialized bytes"))
    table = Table("t", columns, (("linear", "24.25 KiB"),), (1.0,))
    for width, heads, cells in ((46, 1, 12), (34, 1, 4), (33, 2, 9), (28, 2, 4), (27, 2, 0)):
        lines = shown(table, width, monkeypatch)
        assert (len(lines) - 4, "".join(lines).count("\u2588")) == (heads, cells), width


@pytest.mark.parametrize(("width", "cells"), [(80, 12), (29, 10), (24, 5), (22, 0)])
def test_bars_are_on_one_scale_that_the_room_allows(width: int, cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = (Column("name", number=False), Column("share"))
    rows = (("a" * 8, "100.0 %"), ("b", "50.0 %"))
    lines = shown(Table("t", columns, rows, (1.0, 0.5)), width, monkeypatch)
    assert [sum(line.count(block) for block in "\u2588#") for line in lines[4:6]] == [cells, round(cells / 2)]
