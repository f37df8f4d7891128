"""`graphlab bench`: options reach the measurement, output goes where it should, failures are an exit code."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import graphlab.benching
from graphlab.cli.main import main
from graphlab.report.bench_data import BenchReport, Interval, Ratio, Total
from graphlab.report.bench_writers import bench_json, bench_markdown
from graphlab.workload import Workload
from tests.cli.conftest import Run
from tests.timing.sample_report import ABSENT, BASE, EVERYTHING, FAST, TIE, report


@pytest.fixture
def answer() -> list[BenchReport]:
    """What `bench` answers with: the last of them."""
    return [report(BASE, FAST, TIE)]


@pytest.fixture
def benched(monkeypatch: pytest.MonkeyPatch, answer: list[BenchReport]) -> list[dict[str, Any]]:
    """Makes `bench` answer with a report written down; collects the arguments it got."""
    seen: list[dict[str, Any]] = []

    def bench(workload: Workload, backends: list[str], **options: Any) -> BenchReport:
        seen.append({"workload": workload, "backends": backends, **options})
        options["progress"]("unet: eager")
        return answer[-1]

    monkeypatch.setattr(graphlab.benching, "bench", bench)
    return seen


def test_options_reach_the_measurement(run: Run, calls: list[Any], benched: list[dict[str, Any]]) -> None:
    result = run(
        "bench", "toy", "--backend", "eager,rewrite=-O2", "--backend", "inductor,dtype=bfloat16", "--rewrite", "O1",
        "--set", "height=128", "--stage", "unet", "--weights", "random:3", "--dtype", "float32", "--threads", "2",
        "--rounds", "9", "--budget", "30", "--whole", "--dynamic", "--seed", "5",
    )  # fmt: skip
    assert (result.code, result.err) == (0, "")
    (given,) = benched
    del given["progress"]
    assert given.pop("workload").values()["height"] == 128
    assert given == {
        "backends": ["eager,rewrite=-O2", "inductor,dtype=bfloat16"], "rewrite": 1, "stage": "unet",
        "weights": "random:3", "dtype": "float32", "threads": 2, "rounds": 9, "budget": 30.0, "whole": True,
        "dynamic": True, "seed": 5, "trust_pickle": False,
    }  # fmt: skip
    assert calls[0]["dynamic"] is True


def test_a_capture_is_static_unless_asked_otherwise(run: Run, calls: list[Any], benched: list[Any]) -> None:
    run("bench", "toy", "--backend", "eager")
    run("bench", "model.onnx", "--backend", "onnxruntime")
    assert [call["dynamic"] for call in calls if "source" in call] == [False, True]


@pytest.mark.parametrize("width", ["80", "200"])
def test_tables_on_standard_output(
    run: Run, benched: list[Any], answer: list[BenchReport], monkeypatch: pytest.MonkeyPatch, width: str
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    answer.append(EVERYTHING)
    result = run("bench", "toy", "--backend", "eager")
    for text in (
        "A CPU, 4 cores, 2 threads a call", "performance", "seconds of one call", "inductor -O2", "2.000",
        "1.900 to 2.100", "faster", "tie", "too few rounds (3)", "base", "12.5 s", "900 MiB", "2e-06",
        "broken: wrong: output 1 differs", "no number", "onnxruntime,provider=cuda: unavailable: there is no NVIDIA",
        "its warm-up did not settle in 4 calls", "weights are random", "a note", "a rule", "assumed",
    ):  # fmt: skip
        assert text in re.sub(r"\s+", " ", result.out), text


def test_one_candidate_that_fails_is_exit_code_1_and_the_others_are_shown(
    run: Run, benched: list[Any], answer: list[BenchReport]
) -> None:
    answer.append(report(BASE, ABSENT))
    result = run("bench", "toy", "--backend", "eager")
    assert result.code == 1
    assert "2 s" in result.out
    assert result.err == ""


def test_a_whole_generation(run: Run, benched: list[Any], answer: list[BenchReport]) -> None:
    ratio = Ratio(2.0, Interval(1.8, 2.2), "faster", 8)
    totals = (
        Total("eager", 30.0, Interval(29.0, 31.0), None, False),
        Total("inductor -O2", 15.0, Interval(14.0, 16.0), ratio, True),
        Total("broken", None, None, None, False),
    )
    answer.append(report(BASE, FAST, whole=True, totals=totals))
    text = re.sub(r"\s+", " ", run("bench", "toy", "--backend", "eager", "--whole").out)
    assert "seconds of one generation, 100 calls" in text
    assert "Whole generation (estimates)" in text
    assert "added up round by round: unet" in text
    assert "15 s 14 s to 16 s 2.000 1.800 to 2.200 faster" in text


@pytest.mark.parametrize("option", ["--json", "--markdown"])
def test_a_file_for_standard_output_sends_the_tables_to_standard_error(
    run: Run, benched: list[Any], option: str
) -> None:
    result = run("bench", "toy", "--backend", "eager", option, "-")
    writer = {"--json": bench_json, "--markdown": bench_markdown}[option]
    assert result.out == writer(report(BASE, FAST, TIE))
    assert "as fast as eager" in result.err


def test_files(run: Run, benched: list[Any], answer: list[BenchReport], tmp_path: Path) -> None:
    answer.append(EVERYTHING)
    paths = [tmp_path / name for name in ("r.json", "r.md", "p.svg")]
    run(
        "bench",
        "toy",
        "--backend",
        "eager",
        "--json",
        str(paths[0]),
        "--markdown",
        str(paths[1]),
        "--plot",
        str(paths[2]),
    )
    document = json.loads(paths[0].read_text())
    assert document["schema"] == "graphlab.bench/1"
    assert [item["status"] for item in document["stages"][0]["candidates"]] == [
        "timed", "timed", "timed", "timed", "wrong", "wrong", "unavailable"
    ]  # fmt: skip
    assert paths[1].read_text().startswith("# toy\n")
    assert "## unet: not timed" in paths[1].read_text()
    assert paths[2].read_text().startswith("<svg")
    assert "inductor -O2" in paths[2].read_text()


@pytest.mark.parametrize(
    ("name", "start"), [("p.png", b"\x89PNG"), ("p.html", b"<!doctype html>"), ("p.json", b'{\n "$schema"')]
)
def test_plots_of_other_kinds(run: Run, benched: list[Any], tmp_path: Path, name: str, start: bytes) -> None:
    assert run("bench", "toy", "--backend", "eager", "--plot", str(tmp_path / name)).code == 0
    assert (tmp_path / name).read_bytes().lower().startswith(start.lower())
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_nothing_to_draw(run: Run, benched: list[Any], answer: list[BenchReport], tmp_path: Path) -> None:
    answer.append(report(ABSENT))
    plot, data = tmp_path / "p.svg", tmp_path / "r.json"
    result = run("bench", "toy", "--backend", "eager", "--plot", str(plot), "--json", str(data))
    assert (result.code, list(tmp_path.iterdir())) == (1, [data])  # what was found is not lost by it
    assert "error: there is nothing to draw" in result.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--backend", "inducter"], 1, "error: no backend is called 'inducter' (did you mean 'inductor'?"),
        (["--backend", "eager,fast=yes"], 1, "error: backend eager has no option 'fast'"),
        (["--backend", "eager,rewrite=-O3"], 1, "error: -O3 is no level to rewrite a candidate at"),
        (["--backend", "eager,threads"], 1, "error: 'threads' in 'eager,threads' is not KEY=VALUE"),
        ([], 1, "error: there is no candidate to time (--backend NAME, of: eager"),
        (["--backend", "eager", "--rewrite", "fast"], 2, "is no level"),
        (["--backend", "eager", "--plot", "p.pdf"], 2, "is none of"),
        (["--backend", "eager", "--plot", "-"], 2, "is none of"),
    ],
    ids=["backend", "option", "level", "syntax", "none", "rewrite", "plot", "stdout"],
)
def test_usage(run: Run, benched: list[Any], arguments: list[str], code: int, message: str) -> None:
    result = run("bench", "toy", *arguments)
    assert result.code == code
    assert message in result.err
    assert not benched


def test_two_backends_from_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A user's function, eager and ONNX Runtime, rewritten and not: real processes, real times."""
    source = tmp_path / "mine.py"
    source.write_text(
        "import torch\n\n"
        "def model():\n"
        "    torch.manual_seed(0)\n"
        "    return torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.GELU()).eval(), (torch.randn(3, 8),)\n"
    )
    options = ("--rounds", "6", "--threads", "1", "--json", str(tmp_path / "r.json"))
    code = main(["bench", f"{source}:model", "--backend", "eager", "--backend", "onnxruntime,rewrite=2", *options])
    printed = capsys.readouterr()
    assert (code, printed.err) == (0, "")
    (stage,) = json.loads((tmp_path / "r.json").read_text())["stages"]
    eager, onnxruntime = stage["candidates"]
    assert [eager["label"], onnxruntime["label"], stage["base"]] == ["eager", "onnxruntime -O2", "eager"]
    assert all(len(item["times"]["samples"]) == 6 and item["check"]["agrees"] for item in (eager, onnxruntime))
    ratios = [a / b for a, b in zip(eager["times"]["samples"], onnxruntime["times"]["samples"], strict=True)]
    assert min(ratios) <= onnxruntime["ratio"]["interval"]["low"] <= onnxruntime["ratio"]["median"] <= max(ratios)
    assert "onnxruntime -O2" in printed.out
