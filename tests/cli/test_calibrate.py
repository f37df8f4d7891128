"""`graphlab calibrate`: a file that `--device` takes, and what it refuses."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

import graphlab.calibrating.device as device
from graphlab.calibrating.campaign import all_probes
from graphlab.calibrating.probe import Probe
from graphlab.hardware import load_device
from tests.cli.conftest import Run


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Real probes, the large ones left out for time."""
    kept = {"strided_copy", "call", "triad", "reused", "fresh", "tail"}

    def probes() -> list[Probe]:
        return [probe for probe in all_probes() if probe.table in kept or math.prod(probe.sizes) <= 1 << 22]

    monkeypatch.setattr(device, "all_probes", probes)


@pytest.mark.usefixtures("small")
def test_writes_a_device_that_analyze_takes(run: Run, calls: list[dict[str, Any]], tmp_path: Path) -> None:
    path = tmp_path / "here.toml"
    page = tmp_path / "page.html"
    named = ("--name", "my laptop", "--html", str(page))
    result = run("calibrate", "-o", str(path), "--budget", "2", "--threads", "1", *named)
    assert result.code == 0, result.err
    assert run("report", str(path), "-o", "-").out == page.read_text(encoding="utf-8")
    assert "<h1>Device my laptop</h1>" in page.read_text(encoding="utf-8")
    assert "my laptop" in result.out
    assert "linear" in result.out
    assert "byte/s" in result.out
    found = load_device(path)
    assert found.title == "my laptop"
    assert found.kind == "cpu"
    assert found.calibration is not None
    assert found.calibration.threads == 1
    assert run("analyze", "toy", "--device", str(path)).code == 0
    assert calls[-1]["device"].calibration == found.calibration


@pytest.mark.usefixtures("small")
def test_to_standard_output_goes_nothing_else(run: Run, tmp_path: Path) -> None:
    result = run("calibrate", "-o", "-", "--budget", "0.1", "--rounds", "1", "--threads", "1")
    assert result.code == 0, result.err
    path = tmp_path / "copy.toml"
    path.write_text(result.out)
    assert load_device(path).calibration is not None


def test_keeps_a_file_that_is_there(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("precious")
    result = run("calibrate", "-o", str(path), "--budget", "0.1")
    assert result.code == 1
    assert "--force" in result.err
    assert path.read_text() == "precious"


@pytest.mark.usefixtures("small")
def test_force_replaces_it(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("precious")
    assert run("calibrate", "-o", str(path), "--budget", "0.1", "--threads", "1", "--force").code == 0
    assert load_device(path).calibration is not None


REFUSED = [
    ("no-folder", ("-o", "nowhere/here.toml"), 1),
    ("not-toml", ("-o", "here.json"), 2),
    ("no-rounds", ("--rounds", "0"), 1),
    ("no-time", ("--budget", "0"), 1),
    ("no-threads", ("--threads", "0"), 1),
    ("many-threads", ("--threads", "99999999999999999999"), 1),
    ("no-name", ("--name", ""), 1),
    ("no-number", ("--budget", "long"), 2),
]


@pytest.mark.parametrize(("options", "code"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_refuses(
    options: tuple[str, ...], code: int, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("calibrate", *options)
    assert result.code == code
    assert result.err
    assert not list(tmp_path.iterdir())
