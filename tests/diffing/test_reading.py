"""Saved reports are files of strangers: broken ones, other versions and other kinds are told in one line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from graphlab import diff
from graphlab.diffing.errors import DiffError
from graphlab.diffing.reading import read_report
from graphlab.errors import BindingError, GraphlabError
from graphlab.report.bench_data import Interval, Total
from graphlab.report.decoding import ReportFileError
from tests.diffing.samples import ALL, ANALYSIS, BENCH, PAIR


def write(path: Path, data: Any) -> Path:
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


def changed(**entries: Any) -> dict[str, Any]:
    """The JSON of ANALYSIS with entries of its first stage replaced."""
    found: dict[str, Any] = json.loads(json.dumps(ANALYSIS.to_dict()))
    found["stages"][0] |= entries
    return found


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (changed(flops_total="many"), "stages[0].flops_total: expected an integer of at least 0, got 'many'"),
        (changed(flops_total=-1), "stages[0].flops_total: expected an integer of at least 0, got -1"),
        (changed(nodes=3), "stages[0].nodes is 3, expected a list"),
        (changed(nodes=[]), "stages[0].nodes: the calls do not add up to stages[0].categories"),
        (changed(nodes=[{}]), "stages[0].nodes[0].name is missing"),
        (changed(roles={}), "stages[0].nodes: the calls do not add up to stages[0].roles"),
        (changed(flops_total=True), "expected an integer of at least 0, got True"),
        (changed(attention={}), "stages[0].attention: expected a list, got {}"),
        (changed(bytes_total=3), "stages[0].bytes_total: expected an object, got 3"),
        (changed(name=None), "stages[0].name: expected a text, got None"),
        ({"schema": "graphlab.analysis/1"}, "stages is missing"),
        ({"schema": "graphlab.analysis/2"}, "of schema graphlab.analysis/2, and this graphlab reads graphlab.analysis"),
        ({"schema": "graphlab.bench/0"}, "is of schema graphlab.bench/0, and this graphlab reads graphlab.bench/1"),
        ({"schema": "graphlab.run/1"}, "is of schema graphlab.run/1, which this graphlab does not know"),
        ({"schema": "graphlab.export/1"}, "is a report of `graphlab export`, which diff does not compare"),
        ({"schema": "graphlab.diff/1"}, "is a report of `graphlab diff`, which diff does not compare"),
        ('{"schema": "graphlab.analysis/1", "stages": [', "is no JSON: "),
        ('{"schema": "graphlab.analysis/1", "x": NaN}', "holds NaN, which is no number of JSON"),
        ('{"schema": "graphlab.analysis/1", "x": -Infinity}', "holds -Infinity"),
        ('{"schema": "graphlab.analysis/1", "x": ' + "[" * 100_000, "is nested too deeply"),
        ('{"schema": "graphlab.analysis/1", "x": ' + "9" * 10_000 + "}", "holds an integer of too many digits"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_said_in_one_line(tmp_path: Path, data: Any, message: str) -> None:
    path = write(tmp_path / "broken.json", data)
    with pytest.raises((ReportFileError, DiffError)) as caught:
        diff(path, PAIR)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_seconds_that_are_no_number_are_refused(tmp_path: Path) -> None:
    data = json.loads(json.dumps(BENCH.to_dict()))
    data["stages"][0]["candidates"][0]["times"]["samples"][2] = 0.0
    with pytest.raises(ReportFileError, match=r"samples\[2\]: expected seconds above 0, got 0.0"):
        diff(write(tmp_path / "zero.json", data), BENCH)
    text = json.dumps(BENCH.to_dict()).replace("2.0", "1e999", 1)
    with pytest.raises(ReportFileError, match=r"huge\.json holds 1e999\d*, which is too large a number"):
        diff(write(tmp_path / "huge.json", text), BENCH)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"metadata": {}, "weight_map": {}}', '{"schema": 3}', "\x80"])
def test_other_files_are_no_reports(tmp_path: Path, text: str) -> None:
    assert read_report(write(tmp_path / "other.json", text), "other.json") is None


@pytest.mark.parametrize("first", list(ALL))
@pytest.mark.parametrize("second", list(ALL))
def test_reports_of_two_commands_are_refused(first: str, second: str) -> None:
    if first == second:
        return
    with pytest.raises(DiffError, match=f"a report of `graphlab {first}` and .* one of `graphlab {second}`"):
        diff(ALL[first], ALL[second])


@pytest.mark.parametrize("kind", ["profile", "bench"])
def test_a_source_has_no_times_to_compare_with_measured_ones(kind: str) -> None:
    with pytest.raises(DiffError, match=f"measure it: `graphlab {kind} stable-diffusion-v1-5-tiny --json FILE`"):
        diff(ALL[kind], "stable-diffusion-v1-5-tiny")


def test_options_of_sources_do_not_go_to_reports() -> None:
    with pytest.raises(DiffError, match="a device is for sources"):
        diff(ANALYSIS, ANALYSIS, device="h100-sxm")
    with pytest.raises(BindingError, match="neither side has a variable 'height'"):
        diff(ANALYSIS, ANALYSIS, height=3)
    with pytest.raises(BindingError, match=r"\(a\) is a report, and its sizes are what they are"):
        diff(ANALYSIS, ANALYSIS, only_a={"height": 3})
    with pytest.raises(DiffError, match="as its reports have them"):
        diff(BENCH, BENCH, per="call")
    with pytest.raises(DiffError, match="has no stage 'uned'"):
        diff(ANALYSIS, ANALYSIS, stage="uned")
    with pytest.raises(GraphlabError, match="not per 'step'"):
        diff(ANALYSIS, ANALYSIS, per="step")


def test_reports_without_stages_or_with_two_of_one_name(tmp_path: Path) -> None:
    data = json.loads(json.dumps(ANALYSIS.to_dict()))
    stage = data["stages"][0]
    for stages, message in (
        ([], "has nothing to compare: no stage"),
        ([stage, stage], "two parts of .* are called unet"),
    ):
        path = write(tmp_path / "odd.json", {**data, "stages": stages})
        with pytest.raises(DiffError, match=message):
            diff(path, path)


def test_one_candidate_beside_one_is_compared_whatever_they_are_called() -> None:
    data = replace(BENCH.stages[0].candidates[0], label="onnxruntime", backend="onnxruntime")
    other = replace(BENCH, stages=(replace(BENCH.stages[0], candidates=(data,)),))
    found = diff(BENCH, other)
    assert [(item.name, item.b) for item in found.settings] == [("unet: backend", "onnxruntime")]
    (group,) = found.part("unet").by("candidate")
    assert (group.name, group.status) == ("eager / onnxruntime", "same")


def test_another_machine_is_a_setting() -> None:
    other = replace(BENCH, environment=replace(BENCH.environment, cpu="Another", threads=8))
    assert [item.name for item in diff(BENCH, other).settings] == ["machine: cpu", "machine: threads"]


def test_a_whole_generation_of_timings_is_a_part() -> None:
    (stage,) = BENCH.stages
    assert stage.candidates[0].times is not None
    total = Total("eager", 2.02, Interval(1.9, 2.1), None, False)
    whole = replace(BENCH, whole=True, totals=(total,), stages=(stage, replace(stage, name="vae")))
    part = diff(whole, whole).part("(whole generation)")
    timing = part.by("candidate")[0].changes[0].timing
    assert timing is not None
    assert (timing.verdict, timing.rounds_a, timing.ratio) == ("tie", 7, 1.0)
