"""`graphlab characterize`: files, figures and errors, on tiny models."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from graphlab.cli.main import FAILURE, OK, USAGE, main

TINY = ["stable-diffusion-v1-5-tiny", "llama-2-7b-tiny"]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("characterize")
    outputs = ["--json", f"{folder}/all.json", "--html", f"{folder}/all.html"]
    outputs += ["--csv", f"{folder}/csv", "--svg", f"{folder}/svg"]
    assert main(["characterize", *TINY, "--no-sweeps", "--jobs", "1", *outputs]) == OK
    return folder


def test_json_holds_models_figures_and_findings(files: Path) -> None:
    report = json.loads((files / "all.json").read_text())
    assert report["schema"] == "graphlab.characterization/1"
    assert report["device"] == "a100-80gb"
    assert [row["name"] for row in report["models"]] == TINY
    assert {"breakdown", "roofline", "timeline"} <= {figure["name"] for figure in report["figures"]}
    assert all(finding["evidence"] for finding in report["findings"])
    for row in report["models"]:
        assert row["seconds_fused"] <= row["seconds_baseline"]
        assert row["flops"] == sum(stage["flops"] for stage in row["stages"])


def test_every_figure_is_a_table_and_those_with_rows_a_picture(files: Path) -> None:
    report = json.loads((files / "all.json").read_text())
    for figure in report["figures"]:
        with (files / "csv" / f"{figure['name']}.csv").open() as file:
            assert len(list(csv.DictReader(file))) == len(figure["rows"])
        picture = files / "svg" / f"{figure['name']}.svg"
        assert picture.exists() == bool(figure["rows"])
        assert figure["rows"] or figure["notes"]


def test_the_page_is_whole(files: Path) -> None:
    page = (files / "all.html").read_text()
    assert page.lower().startswith("<!doctype html>")
    for name in TINY:
        assert name in page


def test_tables_for_a_human(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["characterize", TINY[1], "--no-sweeps", "--jobs", "1", "--figure", "breakdown", "--set", "tokens=9"])
        == OK
    )
    shown = capsys.readouterr().out
    for text in ("Models", "Times on a100-80gb", "Stages", "Findings", "breakdown", "estimates"):
        assert text in shown


def test_bindings_reach_the_models_that_have_them(capsys: pytest.CaptureFixture[str]) -> None:
    args = ["characterize", *TINY, "--no-sweeps", "--jobs", "1", "--figure", "pareto", "--json", "-"]
    assert main([*args, "--set", "new_tokens=7", "--set", "steps=3"]) == OK
    rows = json.loads(capsys.readouterr().out)["models"]
    assert rows[0]["bindings"]["steps"] == 3
    assert rows[1]["bindings"]["new_tokens"] == 7
    assert rows[1]["stages"][1]["steps"] == 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no-such-model"], "no built-in model"),
        ([TINY[0], "--device", "h1000"], "no device"),
        ([TINY[0], "--figure", "brakedown"], "breakdown"),
        ([TINY[0], "--dtype", "int4"], "float16"),
        ([TINY[0], "--set", "frames=3"], "none of the models"),
        ([TINY[0], "--set", "steps=0"], "at least 1"),
        (["modelscope-t2v-tiny", "--set", "frames=0"], "at least 1"),
        ([TINY[0], TINY[0]], "two models are called"),
        ([TINY[0], "--csv", "/dev/null/x"], "cannot write"),
    ],
)
def test_wrong_input_is_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["characterize", *arguments, "--no-sweeps", "--jobs", "1"]) == FAILURE
    shown = capsys.readouterr()
    assert shown.out == ""
    assert message in shown.err
    assert shown.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [["--tiny", TINY[0]], [TINY[0], "--budget", "3"], [TINY[0], "--jobs", "0"], [TINY[0], "--svg", "-"]],
)
def test_options_that_do_not_go_together(arguments: list[str]) -> None:
    assert main(["characterize", *arguments]) == USAGE


@pytest.mark.parametrize("option", ["--csv", "--svg"])
def test_a_folder_and_a_file_at_one_place(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graphlab.characterizing.bound", lambda *args: pytest.fail("worked first"))
    arguments = ["characterize", TINY[1], "--html", str(tmp_path / "out"), option, f"{tmp_path}/./out"]
    assert main(arguments) == USAGE
    assert "--html is to be a file" in " ".join(capsys.readouterr().err.split())
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_when_a_picture_cannot_be_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(figure: object) -> None:
        raise ValueError("no picture")

    monkeypatch.setattr("graphlab.report.figure.Figure.to_svg", broken)
    outputs = ["--json", str(tmp_path / "all.json"), "--csv", str(tmp_path / "csv"), "--svg", str(tmp_path / "svg")]
    arguments = [TINY[1], "--no-sweeps", "--jobs", "1", "--figure", "breakdown", "--set", "new_tokens=3"]
    assert main(["characterize", *arguments, *outputs]) == FAILURE
    assert list(tmp_path.iterdir()) == []


def test_an_impossible_budget_is_refused_before_the_work(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graphlab.characterizing.bound", lambda *args: pytest.fail("worked first"))
    assert main(["characterize", TINY[1], "--measured", "--budget", "0"]) == FAILURE
    assert "cannot measure for 0.0 seconds" in capsys.readouterr().err


def test_a_device_file_with_a_negative_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        'title = "x"\nkind = "gpu"\nmemory_bytes = 1e9\nmemory_bandwidth = -5.0\n[peak_flops]\nfloat32 = 1e9\n'
    )
    assert main(["characterize", TINY[0], "--device", str(file)]) == FAILURE
    assert "memory_bandwidth" in capsys.readouterr().err


def test_measured_stands_beside_predicted(capsys: pytest.CaptureFixture[str]) -> None:
    args = ["characterize", TINY[1], "--no-sweeps", "--jobs", "1", "--measured", "--budget", "1"]
    assert main([*args, "--figure", "measured", "--json", "-", "--set", "tokens=5", "--set", "new_tokens=4"]) == OK
    (figure,) = json.loads(capsys.readouterr().out)["figures"]
    assert {row["stage"] for row in figure["rows"]} == {"prefill", "decode"}
    totals = [row for row in figure["rows"] if row["category"] == "total"]
    assert all(row["measured"] > 0 and row["predicted"] > 0 for row in totals)
    assert "not calibrated here" in figure["notes"][0]
