"""`graphlab analyze` on the sample report: options reach the API, output goes where it should."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from graphlab.report.csv_writer import to_csv
from graphlab.report.json_writer import to_json
from graphlab.report.markdown_writer import to_markdown
from tests.cli.conftest import Run
from tests.report.sample import HOSTILE, report


def test_tables_on_standard_output(run: Run) -> None:
    result = run("analyze", "toy", "--device", "a100-80gb")
    assert (result.code, result.err) == (0, "")
    for text in ("guidance", "7.5", "50 x 2", "convolution", "1 x", "spatial", "image_side", "fits toy",
                 "largest batch", "foo.bar.default", "16.7 %", "Assumptions", "Notes", "sample",
                 "10*height*width + 1040"):  # fmt: skip
        assert text in result.out, text


def test_options_reach_the_api(run: Run, calls: list[dict[str, Any]]) -> None:
    result = run(
        "analyze", "toy", "--set", "height=128", "--set", "config=2", "--input", "x=2x3:float16", "--static",
        "--strict", "--no-cache", "--trust-pickle", "--config", "c.json", "--stage", "unet",
    )  # fmt: skip
    assert result.code == 0
    loaded, analyzed = calls
    assert loaded == {
        "source": "toy",
        "config": Path("c.json"),
        "trust_pickle": True,
        "inputs": {"x": "2x3:float16"},
        "dynamic": False,
    }
    assert analyzed["workload"].values() == {"height": 128, "config": 2}
    assert (analyzed["stage"], analyzed["dynamic"], analyzed["strict"], analyzed["cache"]) == (
        "unet",
        False,
        True,
        False,
    )


@pytest.mark.parametrize(("option", "writer"), [("--json", to_json), ("--csv", to_csv), ("--markdown", to_markdown)])
def test_a_dash_leaves_standard_output_to_the_writer(run: Run, option: str, writer: Any) -> None:
    result = run("analyze", "toy", option, "-")
    assert result.out == writer(report(device=False))
    assert "Stages" in result.err


def test_files_are_written_whole(run: Run, tmp_path: Path) -> None:
    paths = {name: tmp_path / f"x.{name}" for name in ("json", "csv", "markdown")}
    old = paths["json"]
    old.write_text("old")
    old.chmod(0o640)
    result = run("analyze", "toy", *(part for name, path in paths.items() for part in (f"--{name}", str(path))))
    assert result.code == 0
    assert "Stages" in result.out
    assert json.loads(old.read_text())["source"] == "toy"
    assert old.stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.csv", "x.json", "x.markdown"]


def test_a_link_keeps_pointing_at_its_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text("old")
    (tmp_path / "link.json").symlink_to("real.json")
    assert run("analyze", "toy", "--json", str(tmp_path / "link.json")).code == 0
    assert (tmp_path / "link.json").is_symlink()
    assert json.loads((tmp_path / "real.json").read_text())


def test_a_device_file_is_written_to_not_replaced(run: Run) -> None:
    assert run("analyze", "toy", "--json", "/dev/null").code == 0
    assert not os.path.isfile("/dev/null")


def test_nothing_is_written_after_an_error(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    result = run("analyze", "nope", "--json", str(path))
    assert (result.code, result.out) == (1, "")
    assert result.err == "error: no built-in model is called 'nope'\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "missing/x.json"])
def test_a_hopeless_path_fails_before_the_work(run: Run, calls: list[Any], tmp_path: Path, name: str) -> None:
    result = run("analyze", "toy", "--json", str(tmp_path / name))
    assert result.code == 1
    assert result.err.startswith("error: cannot write")
    assert calls == []


def test_a_bad_device_fails_before_the_work(run: Run, calls: list[Any]) -> None:
    result = run("analyze", "toy", "--device", "a100")
    assert result.code == 1
    assert "did you mean 'a100-80gb'" in result.err
    assert calls == []


@pytest.mark.parametrize(
    "args",
    [
        ("--set", "height"),
        ("--set", "=3"),
        ("--set", "height=tall"),
        ("--set", "height=nan"),
        ("--set", "height="),
        ("--input", "sample"),
        ("--input", "sample=2x4"),
        ("--input", "sample=2xx4:float16"),
        ("--input", "sample=-1x4:float16"),
        ("--input", "a=1:int64", "--input", "a=2:int64"),
        ("--json", "-", "--csv", "-"),
        ("--json", "same", "--csv", "./same"),
        ("--by", "colour"),
        ("--depth", "2"),
        ("--top", "0"),
        ("--colour", "red"),
        ("extra",),
    ],
)
def test_wrong_syntax_is_2(run: Run, calls: list[Any], args: tuple[str, ...]) -> None:
    result = run("analyze", "toy", *args)
    assert (result.code, result.out) == (2, "")
    assert "Error:" in result.err
    assert calls[1:] == []


@pytest.mark.parametrize("setting", ["height=12", "height=0", "heigth=8", "height=8.5", "height=-8"])
def test_an_impossible_value_is_1(run: Run, setting: str) -> None:
    result = run("analyze", "toy", "--set", setting)
    assert result.code == 1
    assert result.err.startswith("error: ")
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("width", ["80", "200", "20"])
@pytest.mark.parametrize("by", ["category", "role", "module", "op", "attention"])
def test_no_width_breaks_a_number(run: Run, monkeypatch: pytest.MonkeyPatch, width: str, by: str) -> None:
    monkeypatch.setenv("COLUMNS", width)
    result = run("analyze", "toy", "--by", by, "--device", "a100-80gb")
    for number in ("1.234 k", "4.2 M", "1.367 KiB", "3.906 KiB", "16.7 %"):
        assert number in result.out, number
    assert "\u2026" not in result.out


def test_hostile_names_are_printed_as_they_are(run: Run) -> None:
    result = run("analyze", "toy", "--by", "module", "--set", "height=64")
    assert "toy [bold]model[/bold]" in result.out
    assert "[blue]because" in result.out
    assert "\x1b" not in result.out
    shown = HOSTILE.replace("\x1b", "\\x1b")
    assert shown in "".join(result.out.split()) or shown in result.out


def test_top_and_depth(run: Run) -> None:
    result = run("analyze", "toy", "--by", "module", "--depth", "1", "--top", "1")
    assert "more)" in result.out
    assert "blocks.0" not in result.out
