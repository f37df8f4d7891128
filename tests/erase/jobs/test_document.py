"""docs/erase.md: its Python runs, its configuration is read, its judge judges, its links lead somewhere."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch

from graphlab.cli.main import main
from graphlab.erase.jobs.config import erase_config
from graphlab.erase.sources.opening import open_source

PAGE = Path(__file__).parents[3] / "docs" / "erase.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), flags=re.M | re.S)


def test_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    judge, example = blocks("python")
    names: dict[str, Any] = {}
    exec(compile(judge, str(PAGE), "exec", dont_inherit=True), names)
    assert names["brightness"](torch.zeros(2, 3, 4, 4), torch.ones(2, 3, 4, 4), ["a", "b"]) == {"before": 0, "after": 1}
    example = example.replace('"seeds": [0]', '"seeds": [0], "draws": 1')
    exec(compile(example, str(PAGE), "exec", dont_inherit=True), {"__name__": "page"})
    density, changed = capsys.readouterr().out.split()
    assert 0 < float(density) < 1
    assert int(changed) > 0


def test_the_file_is_read() -> None:
    (text,) = blocks("toml")
    found = erase_config(open_source("digits"), tomllib.loads(text))
    assert found.concepts == ("three",)
    assert found.training.objective.weights.preserve == 0.5
    assert found.training.objective.weights.erase == 1.0


def test_the_options_named_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    known = set()
    for command in ("saliency", "train", "fuse", "evaluate", "demo"):
        assert main(["erase", command, "--help"]) == 0
        known |= set(re.findall(r"--[a-z][a-z-]*", capsys.readouterr().out))
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", PAGE.read_text())) <= known


def test_the_commands_shown_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line.split("#")[0] for line in blocks("")[0].splitlines() if line.startswith("graphlab ")]
    assert len(lines) == 5
    for line in lines:
        words = shlex.split(line)
        assert main([*words[1:3], "--help"]) == 0
        shown = capsys.readouterr().out
        assert all(word in shown for word in words[3:] if word.startswith("-"))


def test_links_lead_to_files() -> None:
    links = re.findall(r"\]\(([^)#]+)", PAGE.read_text())
    assert links
    assert all((PAGE.parent / link).exists() for link in links)
