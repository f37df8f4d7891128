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
