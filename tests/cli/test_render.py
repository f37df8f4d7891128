"""The progress bar: on a terminal only, and on the stream that was there when it started."""

from __future__ import annotations

import io
import sys

import pytest

from graphlab.cli.render import console, print_lines, progress


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
