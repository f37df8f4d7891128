"""How far long work is: a line, on a terminal and nowhere else."""

from __future__ import annotations

import io
import sys

import pytest

from graphlab.cli.erase.progress import duration, interruptible, line, shown
from graphlab.erase.training.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_line_says_what_is_done_and_left() -> None:
    now = Progress(3, 250, 1.0, 120.0, {"erase": 0.41239, "preserve": 0.02})
    assert line("training", now) == "training 3/250, about 2 min left, erase 0.4124, preserve 0.02"


@pytest.mark.parametrize(("seconds", "text"), [(3.4, "3 s"), (240, "4 min"), (9000, "2.5 h")])
def test_time_that_is_left(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize("terminal", [True, False])
def test_stages_are_shown_on_a_terminal_alone(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    with shown("maps", "training") as (maps, training):
        maps(Progress(1, 2, 1.0, 1.0))
        training(Progress(5, 9, 1.0, 1.0))
    assert ("training 5/9" in stream.getvalue()) == terminal
    assert bool(stream.getvalue()) == terminal


def test_an_interrupt_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), interruptible("go on so"):
        raise KeyboardInterrupt
    assert capsys.readouterr().err == "go on so\n"
