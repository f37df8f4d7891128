"""`path/file.py:function`: the user's own module or workload, and errors that name what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

import graphlab
from graphlab.errors import GraphlabError, SourceError

FILE = """
import torch
from torch import nn
from graphlab import Stage, TensorInput, Variable, Workload

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 4)
    def forward(self, x, *, scale=1.0):
        return self.fc(x) * scale

def module():
    return Net(), (torch.randn(3, 8),), {"scale": 2.0}

def pair():
    return Net(), (torch.randn(3, 8),)

def workload():
    stage = Stage("net", "float32", {"x": TensorInput(("batch", 8), "float32")}, build=Net, steps="steps")
    return Workload("mine", "mine", (stage,), (Variable("batch", 5, "rows"), Variable("steps", 7, "steps")))

def broken():
    raise RuntimeError("no weights here")

def wrong():
    return 3
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    return path


@pytest.mark.parametrize("name", ["module", "pair"])
def test_a_module_and_its_arguments(file: Path, name: str) -> None:
    report = graphlab.analyze(f"{file}:{name}")
    assert report.stages[0].flops_per_step == 2 * 3 * 8 * 4
    assert report.stages[0].parameters == 36


def test_a_workload(file: Path) -> None:
    report = graphlab.analyze(f"{file}:workload", batch=2)
    assert report.stages[0].flops_total == 7 * 2 * 2 * 8 * 4
    assert report.stages[0].flops_expression == "64*batch"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("modul", "did you mean 'module'"),
        ("broken", "no weights here"),
        ("wrong", r"return \(module, args, kwargs\)"),
    ],
)
def test_mistakes_are_one_line(file: Path, name: str, message: str) -> None:
    with pytest.raises(GraphlabError, match=message) as caught:
        graphlab.load(f"{file}:{name}")
    assert "\n" not in str(caught.value)


def test_a_file_that_does_not_import_and_one_that_is_not_there(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("import nothing_of_that_name\n")
    with pytest.raises(SourceError, match="cannot be imported"):
        graphlab.load(f"{bad}:f")
    with pytest.raises(SourceError, match="no such file"):
        graphlab.load(f"{tmp_path / 'absent.py'}:f")


def test_a_file_without_a_function_says_what_it_has(file: Path, tmp_path: Path) -> None:
    known = "Net, module, pair, workload, broken, wrong"
    with pytest.raises(SourceError, match=rf"names no function \(write .*mine\.py:FUNCTION; it has: {known}\)"):
        graphlab.load(str(file))
    with pytest.raises(SourceError, match=r"no such file: .*lost"):
        graphlab.load(str(tmp_path / "lost.py"))
