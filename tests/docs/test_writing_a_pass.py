"""docs/writing_a_pass.md: its files are written, its commands run in order, and they print the lines it shows."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from graphlab.cli.main import main

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "writing_a_pass.md"
BLOCK = re.compile(r'^```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<text>.*?)^```$', re.M | re.S)


@dataclass(frozen=True)
class Block:
    """A block of code: its language, the file it is, and its text."""

    language: str
    title: str | None
    text: str


def blocks() -> list[Block]:
    return [Block(m["language"], m["title"], m["text"]) for m in BLOCK.finditer(PAGE.read_text(encoding="utf-8"))]


def shown_in(shown: str, printed: str) -> str | None:
    """The first line of `shown` that `printed` has not after those before it; runs of spaces count as one."""
    lines = iter([" ".join(line.split()) for line in printed.splitlines()])
    for line in (" ".join(row.split()) for row in shown.splitlines() if row.strip()):
        if not any(line in other for other in lines):
            return line
    return None


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    printed, ran, compared = "", 0, 0
    for block in blocks():
        if block.title is not None:
            Path(block.title).write_text(block.text)
        elif block.language == "sh":
            printed = "".join(run(line, capsys) for line in block.text.splitlines())
            ran += 1
        elif block.language == "text":
            missing = shown_in(block.text, printed)
            assert missing is None, f"{missing!r} is not in\n{printed}"
            compared += 1
    assert (ran, compared) == (6, 6)


def run(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What a command prints."""
    name, *args = shlex.split(command)
    if name == "graphlab":
        assert main(args) == 0, capsys.readouterr().err
        return capsys.readouterr().out
    assert name == "pytest"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    command_line = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *args]
    done = subprocess.run(command_line, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_every_python_block_is_a_file() -> None:
    assert [block.title for block in blocks() if block.language == "python"] == [
        "net.py", "wide_calls.py", "drop_double_relu.py", "loop.py", "reuse_module.py", "walker.py", "test_mine.py",
    ]  # fmt: skip
