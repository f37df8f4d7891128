"""docs/reports.md: its commands run, one after another, and the page of the saved report is that of the command."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from graphlab.cli.main import main
from tests.docs.test_readme import blocks

PAGE = "docs/reports.md"


def test_commands_and_python_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for line in "".join(blocks(PAGE, "sh")).splitlines():
        assert main(shlex.split(line)[1:]) == 0, line
    assert (tmp_path / "page.html").read_bytes() == (tmp_path / "again.html").read_bytes()
    assert "aten.linear" in (tmp_path / "rewrite.html").read_text(encoding="utf-8")
    names: dict[str, object] = {"__name__": "reports"}
    exec(compile("\n".join(blocks(PAGE, "python")), PAGE, "exec", dont_inherit=True), names)
    assert str(names["page"]).startswith("<!doctype html>")
