"""Where reports go: files before tables, whoever reads those, and standard output for one report alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from graphlab.cli.destinations import destinations
from graphlab.cli.main import main
from tests.cli.test_process import COMMAND

SOURCE = """
import os, sys
import torch
from graphlab.passes_base import Analysis

def loud(what):
    print(what)
    sys.__stdout__.write(what)
    sys.__stdout__.flush()
    os.system("echo child of " + what)

class Net(torch.nn.Module):
    def forward(self, x):
        return torch.relu(x) * 2

class Loud(Analysis):
    name = "loud"
    def run(self, given):
        loud("the pass")
        return {"relu": 1}

def module():
    loud("the source")
    return Net(), (torch.ones(2, 4),)

loud("the import")
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "loud.py"
    path.write_text(SOURCE)
    return path


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Standard output whose reader is gone."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        yield


COMMANDS = {
    "analyze": ("analyze", "{source}:module", "--static", "--json", "{file}"),
    "explain": ("explain", "{source}:module", "relu", "--static", "--json", "{file}"),
    "rewrite": ("rewrite", "{source}:module", "--static", "--json", "{file}"),
    "profile": ("profile", "{source}:module", "--rounds", "1", "--json", "{file}"),
    "characterize": ("characterize", "{source}:module", "--no-sweeps", "--json", "{file}"),
    "diff": ("diff", "{source}:module", "{source}:module", "--static", "--json", "{file}"),
    "draw": ("draw", "{source}:module", "--static", "-o", "{file}", "--format", "model-explorer"),
    "passes": ("passes", "--json", "{file}"),
    "models": ("models", "--json", "{file}"),
    "devices": ("devices", "--json", "{file}"),
    "backends": ("backends", "--json", "{file}"),
}


@pytest.mark.usefixtures("closed")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_reader_that_is_gone_costs_no_file(command: str, source: Path, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    assert main([word.format(source=source, file=file) for word in COMMANDS[command]]) == 0
    assert json.loads(file.read_text())


@pytest.mark.usefixtures("closed")
def test_a_reader_that_is_gone_changes_no_exit_code(source: Path) -> None:
    assert main(["diff", f"{source}:module", f"{source}:module", "--static", "--fail-if", "flops >= 0"]) == 3


def test_a_report_on_standard_output_is_alone(source: Path) -> None:
    """In a process of its own: what children of it and C libraries print goes to its standard output too."""
    args = ("analyze", f"{source}:module", "--static", "--pass", f"{source}:Loud", "--json", "-")
    done = subprocess.run([*COMMAND, *args], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0
    report = json.loads(done.stdout)
    assert report["stages"][0]["analyses"][0]["facts"] == {"relu": 1}
    for what in ("the import", "the source", "the pass"):
        assert done.stderr.count(what) == 3
    assert "Stages" in done.stderr


def test_files_are_there_before_tables_and_standard_output_is_last(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "report.csv"
    with destinations({"--json": "-", "--csv": str(file), "--html": None}) as out:
        print("a stranger")
        assert out.paths == {"--json": "-", "--csv": str(file)}
        out.write_each(3, {"--json": lambda found: f"json {found}", "--csv": str, "--html": repr})
        assert file.read_text() == "3"
        out.show(lambda stream: print("tables", file=stream))
        assert capsys.readouterr() == ("", "a stranger\ntables\n")
    assert capsys.readouterr() == ("json 3", "")
    assert sys.stdout is not sys.stderr


def test_what_is_measured_is_written_though_something_fails_after_it(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> None:
        with destinations({"--json": "-"}) as out:
            out.write({"--json": "all of it"})
            raise ValueError("no chart")

    with pytest.raises(ValueError, match="no chart"):
        command()
    assert capsys.readouterr().out == "all of it"


def test_a_report_does_not_replace_what_the_command_reads_or_writes(tmp_path: Path) -> None:
    """A name that is no file, a built-in model's for one, is no place."""
    read, written = tmp_path / "model.pt2", tmp_path / "mask.safetensors"
    read.write_text("precious")
    link = tmp_path / "link.json"
    link.symlink_to(read)
    for path, said in ((read, "reads"), (link, "reads"), (written, "writes itself")):
        with (
            pytest.raises(typer.BadParameter, match=f"what the command {said}"),
            destinations({"--json": str(path)}, reads=(str(read), None), writes=(written,)),
        ):
            pass
    with destinations({"--json": str(tmp_path / "toy")}, reads=(str(tmp_path / "toy"),)) as out:
        out.write({"--json": "{}"})
    assert read.read_text() == "precious"


@pytest.mark.parametrize("command", ["analyze", "bench", "profile", "export", "rewrite"])
def test_a_model_is_not_replaced_by_its_report(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "model.pt2"
    source.write_text("precious")
    more = {"bench": ["--backend", "eager"], "export": ["-o", str(tmp_path / "out.onnx")]}
    assert main([command, str(source), "--json", str(source), *more.get(command, [])]) == 2
    assert "what the command reads" in capsys.readouterr().err.replace("\n", " ")
    assert source.read_text() == "precious"
