"""`graphlab profile`: options reach the measurement, output goes where it should, errors are one line."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

import graphlab.profiling
from graphlab.cli.main import main
from graphlab.report.profile_writers import profile_csv, profile_json, profile_markdown
from graphlab.workload import Workload
from tests.cli.conftest import Run
from tests.measuring.test_profile_data import GROWING, STEADY, report


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Makes `profile` answer with a report written down; collects the arguments it got."""
    seen: list[dict[str, Any]] = []

    def profile(workload: Workload, **options: Any) -> Any:
        seen.append({"workload": workload, **options})
        options["progress"]("unet")
        return report(STEADY, GROWING)

    monkeypatch.setattr(graphlab.profiling, "profile", profile)
    return seen


def test_options_reach_the_measurement(run: Run, calls: list[Any], measured: list[dict[str, Any]]) -> None:
    result = run(
        "profile", "toy", "--set", "height=128", "--stage", "unet", "--rounds", "7", "--budget", "2.5",
        "--threads", "1", "--dtype", "float32", "--device", "cuda",
    )  # fmt: skip
    assert (result.code, result.err) == (0, "")
    (given,) = measured
    del given["progress"]
    assert given.pop("workload").values()["height"] == 128
    assert given == {
        "stage": "unet", "rounds": 7, "budget": 2.5, "threads": 1, "dtype": "float32", "device": "cuda",
        "predicted": None,
    }  # fmt: skip
    assert calls[0]["dynamic"] is False


def test_estimates_go_where_they_can_be_seen(run: Run, measured: list[dict[str, Any]]) -> None:
    result = run("profile", "toy", "--predicted", "l4", "--html", "-")
    assert measured[0]["predicted"].name == "l4"
    assert result.out.startswith("<!doctype html>")
    assert "Measured calls" in result.err
    assert run("profile", "toy", "--predicted", "l4").code == 2
    assert run("profile", "toy", "--predicted", "nope", "--json", "-").code == 1


@pytest.mark.parametrize("width", ["80", "200"])
@pytest.mark.parametrize("by", ["category", "role", "module", "op", "attention"])
def test_tables_on_standard_output(
    run: Run, measured: list[Any], monkeypatch: pytest.MonkeyPatch, by: str, width: str
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    result = run("profile", "toy", "--by", by)
    for text in ("A CPU (cpu)", "unet", "decode", "93.8 %", "750 ms", "1.25 s", "30 s", "Notes", "a note", "assumed"):
        assert text in result.out, text
    share = "20.0 %" if by == "attention" else "53.3 %"
    assert share in result.out


@pytest.mark.parametrize(
    ("option", "writer"), [("--json", profile_json), ("--csv", profile_csv), ("--markdown", profile_markdown)]
)
def test_a_dash_leaves_standard_output_to_the_writer(run: Run, measured: list[Any], option: str, writer: Any) -> None:
    result = run("profile", "toy", option, "-")
    assert result.out == writer(report(STEADY, GROWING))
    assert "Measured calls" in result.err


@pytest.mark.parametrize(
    "args",
    [
        ("--device", "tpu"),
        ("--rounds", "many"),
        ("--budget", "long"),
        ("--depth", "2"),
        ("--top", "0"),
        ("--set", "height"),
        ("--json", "-", "--csv", "-"),
        ("--strict",),
    ],
)
def test_wrong_syntax_is_2(run: Run, measured: list[Any], args: tuple[str, ...]) -> None:
    result = run("profile", "toy", *args)
    assert (result.code, result.out) == (2, "")
    assert measured == []


def real(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    code = main(["profile", *args])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("nope",), "no built-in model is called 'nope'"),
        (("missing/model.pt2",), "no such file or folder"),
        (("llama-2-7b-tiny", "--rounds", "0"), "cannot measure 0 rounds"),
        (("llama-2-7b-tiny", "--budget", "-1"), "cannot measure for -1.0 seconds"),
        (("llama-2-7b-tiny", "--dtype", "int7"), "'int7' is no dtype to profile in"),
        (("llama-2-7b-tiny", "--set", "new_tokens=0"), "new_tokens=0 is impossible"),
        (("llama-2-7b-tiny", "--stage", "unet"), "llama-2-7b-tiny has no stage 'unet'"),
    ],
)
def test_an_error_is_one_line(capsys: pytest.CaptureFixture[str], args: tuple[str, ...], message: str) -> None:
    code, out, err = real(capsys, *args)
    assert (code, out) == (1, "")
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1


def test_a_real_run_writes_all_three_files(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    paths = {name: tmp_path / f"x.{name}" for name in ("json", "csv", "markdown")}
    options = [part for name, path in paths.items() for part in (f"--{name}", str(path))]
    args = ("--stage", "prefill", "--set", "tokens=8", "--rounds", "1", "--threads", "1")
    code, out, _ = real(capsys, "llama-2-7b-tiny", *args, *options)
    assert code == 0
    assert "prefill: measured time" in out
    data = json.loads(paths["json"].read_text())
    rows = list(csv.DictReader(io.StringIO(paths["csv"].read_text())))
    nodes = data["stages"][0]["calls"][0]["nodes"]
    assert [(row["node"], float(row["seconds"])) for row in rows] == [(node["name"], node["seconds"]) for node in nodes]
    assert "# llama" in paths["markdown"].read_text().lower()
