"""`graphlab report`: a saved report gives the page of the command, and anything else is refused with what it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from graphlab.cli.main import main
from graphlab.erase.jobs.manifests import fuse_manifest_of, saliency_manifest_of, train_manifest_of
from graphlab.masks.placement_reading import placement_of
from graphlab.pages.analysis import analysis_document
from graphlab.pages.bench import bench_document
from graphlab.pages.diff import diff_document
from graphlab.pages.erase import demo_document, evaluation_document
from graphlab.pages.erase_manifest import fuse_document, saliency_document, train_document
from graphlab.pages.kinds import KINDS
from graphlab.pages.listing import listing_document
from graphlab.pages.others import explanation_document, export_document, mask_document
from graphlab.pages.profile import profile_document
from graphlab.pages.rewrite import rewrite_document
from graphlab.pages.saved import saved_document
from graphlab.report.analysis_reading import analysis_report
from graphlab.report.characterization_writers import document
from graphlab.report.decoding import ReportFileError, decode
from graphlab.report.html import Document, to_html
from graphlab.report.profile_data import ProfileReport
from tests.measuring.test_profile_data import GROWING, STEADY
from tests.measuring.test_profile_data import report as profile_report
from tests.pages.samples import (
    CHARACTERIZATION,
    COMPARISON,
    DATA,
    DEMO,
    DIFF,
    EVALUATION,
    EXPORT,
    FUSE,
    LISTINGS,
    MASK,
    SALIENCY,
    TRAIN,
    explanation,
)
from tests.report.sample import report
from tests.report.test_rewrite_schema import REPORT as REWRITE
from tests.timing.sample_report import EVERYTHING

OWN: dict[str, Callable[[], Document]] = {
    "analyze": lambda: analysis_document(report()),
    "analyze-without-device": lambda: analysis_document(report(device=False)),
    "rewrite": lambda: rewrite_document(REWRITE),
    "bench": lambda: bench_document(EVERYTHING),
    "profile": lambda: profile_document(profile_report(STEADY, GROWING)),
    "export": lambda: export_document(EXPORT),
    "mask": lambda: mask_document(MASK),
    "characterize": lambda: document(CHARACTERIZATION),
    "diff": lambda: diff_document(DIFF),
    "explain": lambda: explanation_document(explanation()),
    "explain-attention": lambda: explanation_document(explanation("mix")),
    "passes": lambda: listing_document(LISTINGS["passes"]),
    "models": lambda: listing_document(LISTINGS["models"]),
    "devices": lambda: listing_document(LISTINGS["devices"]),
    "backends": lambda: listing_document(LISTINGS["backends"]),
    "erase evaluate": lambda: evaluation_document(EVALUATION),
    "erase evaluate of a pipeline": lambda: evaluation_document(COMPARISON),
    "erase demo": lambda: demo_document(DEMO),
    "erase saliency": lambda: saliency_document(saliency_manifest_of(json.loads(json.dumps(SALIENCY.to_dict())))),
    "erase train": lambda: train_document(train_manifest_of(json.loads(json.dumps(TRAIN.to_dict())))),
    "erase fuse": lambda: fuse_document(fuse_manifest_of(json.loads(json.dumps(FUSE.to_dict())))),
}


def saved(tmp_path: Path, data: Any) -> Path:
    path = tmp_path / "report.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def test_every_kind_has_a_sample() -> None:
    assert {make()["schema"] for make in DATA.values()} == set(KINDS)


@pytest.mark.parametrize("name", OWN)
def test_the_page_of_the_json_is_that_of_the_report(name: str, tmp_path: Path) -> None:
    """Charts come back as lists where they were tuples, which JSON writes alike; the bytes are compared below."""
    made, own = saved_document(saved(tmp_path, DATA[name]())), OWN[name]()
    strip = [replace(d, sections=tuple(replace(s, figures=()) for s in d.sections)) for d in (made, own)]
    assert strip[0] == strip[1]
    for one, other in zip(made.sections, own.sections, strict=True):
        assert [json.dumps(f.to_dict()) for f in one.figures] == [json.dumps(f.to_dict()) for f in other.figures]


def test_the_bytes_are_the_same(tmp_path: Path) -> None:
    assert to_html(saved_document(saved(tmp_path, DATA["rewrite"]()))) == to_html(OWN["rewrite"]())


def test_reports_come_back_whole() -> None:
    assert analysis_report(json.loads(json.dumps(report().to_dict()))) == report()
    profile = profile_report(STEADY)
    assert decode(ProfileReport, json.loads(json.dumps(profile.to_dict()))) == profile
    assert placement_of(DATA["mask"]()) == MASK


def test_keys_of_a_newer_version_are_passed_over(tmp_path: Path) -> None:
    data = DATA["bench"]()
    data["stages"][0]["new"] = {"x": 1}
    assert saved_document(saved(tmp_path, {**data, "newer": 1})) == saved_document(saved(tmp_path, DATA["bench"]()))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no JSON: .* at line 1, column 2, expected a report of --json"),
        ("[1]", "holds a list, expected an object with the key 'schema'"),
        ('{"nodes": 1}', r"no report of graphlab: it has no 'schema' \(keys: nodes\)"),
        ('{"schema": 3}', "its 'schema' is no text"),
        ('{"schema": "graphlab.analysis/0"}', "is graphlab.analysis/0, expected graphlab.analysis/1 .*write it again"),
        ('{"schema": "graphlab.analysis"}', "is graphlab.analysis, expected graphlab.analysis/1"),
        ('{"schema": "other/1"}', r"'other/1', which no page is known for \(known: graphlab.analysis/1, "),
        ('{"schema": "graphlab.analysis/1", "source": 3}', "source is 3, expected text"),
        ('{"schema": "graphlab.analysis/1", "stages": {}}', "source is missing"),
        ('{"schema": "graphlab.bench/1", "rounds": NaN}', "holds NaN, which is no number of JSON"),
        ('{"schema": "graphlab.bench/1", "seed": 1e999}', "holds 1e999, which is too large a number"),
        ('{"schema": "graphlab.bench/1", "seed": ' + "9" * 10_000 + "}", "holds an integer of too many digits"),
        ('{"format": "graphlab.erase.command", "command": "train"}', "of `graphlab erase train`.*this version writes"),
        ('{"format": "graphlab.erase.command", "command": 3}', "manifest of `graphlab erase 3`, which has no page"),
        ("[" * 100_000, "nested too deeply|is no JSON"),
        ("\x00", "is no JSON"),
    ],
)  # fmt: skip
def test_what_is_no_report_is_refused(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ReportFileError, match=said):
        saved_document(path)


def test_the_path_of_a_wrong_value_is_named(tmp_path: Path) -> None:
    for change, said in (
        (lambda data: data["stages"][0].pop("steps"), r"stages\[0\].steps is missing"),
        (
            lambda data: data["stages"][1]["nodes"][0].update(flops="many"),
            r"nodes\[0\].flops is 'many', expected an int",
        ),
        (lambda data: data["stages"][0].pop("nodes"), r"stages\[0\].nodes is missing"),
        (lambda data: data["bindings"].update(height=[]), "bindings.height is a list, expected a number"),
        (lambda data: data["fit"].update(fits=1), "fit.fits is 1, expected true or false"),
    ):
        data = json.loads(json.dumps(DATA["analyze"]()))
        change(data)
        with pytest.raises(ReportFileError, match=said):
            saved_document(saved(tmp_path, data))


def test_values_that_do_not_go_together_are_no_internal_error(tmp_path: Path) -> None:
    data = json.loads(json.dumps(DATA["profile"]()))
    data["stages"][0]["calls"] = []
    with pytest.raises(ReportFileError, match="its values do not go together"):
        saved_document(saved(tmp_path, data))


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.html"
    assert main(["report", str(saved(tmp_path, DATA["mask"]())), "-o", str(page)]) == 0
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert main(["report", str(tmp_path / "none.json"), "-o", str(page)]) == 1
    assert main(["report", str(page), "-o", str(tmp_path / "other.html")]) == 1
    assert main(["report", str(page)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert "cannot read" in lines[0]
    assert "is no JSON" in lines[1]


def test_the_report_is_not_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(tmp_path, DATA["mask"]())
    (tmp_path / "link.json").symlink_to(path)
    for other in (path, tmp_path / "link.json"):
        assert main(["report", str(path), "-o", str(other)]) == 2
    assert "is what the command reads" in capsys.readouterr().err
    assert json.loads(path.read_text()) == json.loads(json.dumps(DATA["mask"]()))
