"""The measurement at full size, narrow: every part runs, in a child too, and one that asks for too much is a row."""

from __future__ import annotations

import pytest

from benchmarks.erasure.full_size import Size, main, mapped, model_of, stepped
from graphlab.erase.training.model import module_hash


def test_the_parts_do_what_they_are_called() -> None:
    size = Size(width=8, side=8, device="cpu")
    assert module_hash(model_of(size).module) == module_hash(model_of(size).module)
    assert mapped(size) == "50.0% of the entries kept"
    said = stepped(size, "sgd")
    assert [item.split(" ")[0] for item in said.split(", ")] == ["erase", "uncond_late", "preserve", "uncond_early"]


def test_a_child_is_measured_and_limited(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--width", "8", "--side", "8", "--only", "start"]) == 0
    row = capsys.readouterr().out.splitlines()[-1].split("|")
    assert row[1].strip() == "start"
    assert 0.05 < float(row[2]) < 4
    assert main(["--width", "8", "--side", "8", "--only", "model", "--memory-gib", "0.01"]) == 1
    assert "| model | - | - |" in capsys.readouterr().out
