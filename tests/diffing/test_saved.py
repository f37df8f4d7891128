"""Saved analyses say what their sources do, call by call; those of before hold no calls, and that is said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

import graphlab
from graphlab import AnalysisReport, diff
from graphlab.diffing.errors import PlaceError
from graphlab.report.diff_data import Change, Compared, DiffReport, GroupDiff
from graphlab.report.diff_writers import diff_markdown
from graphlab.report.group import Group
from graphlab.report.json_writer import to_json
from tests.diffing.samples import ALL, PAIR, analyses, without_calls
from tests.diffing.test_sources import model, program
from tests.report.sample import report

RULES = (
    "denoiser.module:first.flops > +0%",
    "denoiser.module:last.bytes_materialized > +0%",
    "denoiser.op:'aten.conv2d.default'.flops > +1%",
    "decoder.op:'aten.silu.default'.nodes != +0",
    "denoiser.convolution.flops > 1GFLOP",
)


def unlabelled(found: DiffReport) -> DiffReport:
    """`found` without what the sides were called and given as."""
    nobody = Compared("", "report", "")
    return replace(found, a=nobody, b=nobody)


def written(item: AnalysisReport, path: Path) -> Path:
    path.write_text(to_json(item))
    return path


def older(item: AnalysisReport, path: Path) -> Path:
    path.write_text(json.dumps(without_calls(item.to_dict())))
    return path


@pytest.mark.parametrize("device", [None, "a100-80gb"])
def test_saved_reports_differ_as_their_sources_do(tmp_path: Path, device: str | None) -> None:
    one, two = model(), model(width=16)
    sources = diff(one, two, device=device, height=512, fail_if=RULES)
    a = written(graphlab.analyze(one, device, height=512), tmp_path / "a.json")
    b = written(graphlab.analyze(two, device, height=512), tmp_path / "b.json")
    assert {item.outcome for item in sources.rules} == {"held", "violated"}
    assert all(sources.part("denoiser").by(by) for by in ("op", "module"))
    assert sources.part("denoiser").nodes is not None
    for pair in ((a, b), (a, two), (one, b)):
        assert unlabelled(diff(*pair, fail_if=RULES)) == unlabelled(sources)


def test_saved_programs_are_matched_call_by_call(tmp_path: Path) -> None:
    one, two = program(), program(twice=True)
    paths = [written(graphlab.analyze(item), tmp_path / f"{at}.json") for at, item in enumerate((one, two))]
    found = diff(*paths)
    assert unlabelled(found) == unlabelled(diff(one, two))
    nodes = found.parts[0].nodes
    assert nodes is not None
    assert [(row.status, row.b.op if row.b else "") for row in nodes.rows] == [("added", "aten.silu.default")]


def test_a_report_object_gives_a_source_its_settings_as_its_file_does() -> None:
    asked = graphlab.analyze(model(), "h100-sxm", dynamic=False, height=512, batch=3)
    assert diff(asked, model()).same


@settings(deadline=None, max_examples=30)
@given(analyses())
def test_groups_are_those_of_the_report_with_the_calls_that_none_of_them_counts(one: AnalysisReport) -> None:
    found = diff(one, one)
    for stage in one.stages:
        for by in ("category", "role", "op", "module"):
            assert {g.name: figures(g) for g in found.part(stage.name).by(by)} == {
                name: expected(group) for name, group in stage.by(by).items()
            }


def figures(group: GroupDiff) -> tuple[Any, ...]:
    items = [group.change(name) for name in ("nodes", "flops", "pointwise", "bytes_materialized", "seconds")]
    known = [item for item in items if isinstance(item, Change)]
    return (*(item.b for item in known), known[1].uncounted_b)


def expected(group: Group) -> tuple[Any, ...]:
    return (group.nodes, group.flops, group.pointwise_flops, group.bytes, group.seconds, group.unknown)


def test_reports_of_before_are_compared_without_their_calls_and_say_so(tmp_path: Path) -> None:
    old = older(PAIR, tmp_path / "old.json")
    for pair in ((old, PAIR), (PAIR, old), (old, old)):
        found = diff(*pair, fail_if=("unet.convolution.flops > +0%", "flops > +0%"))
        assert found.same
        assert [item.outcome for item in found.rules] == ["held", "held"]
        assert {group.by for part in found.parts for group in part.groups} == {"category", "role"}
        assert any("when reports held no calls" in note for note in found.notes)
        with pytest.raises(PlaceError, match=r"modules are not known on both sides .*written again"):
            diff(*pair, fail_if=("unet.module:norm.flops > 1",))
    assert not any("held no calls" in note for note in diff(PAIR, PAIR).notes)


def test_calls_without_a_rule_may_be_in_every_role_of_a_report_of_before(tmp_path: Path) -> None:
    old, new = older(report(), tmp_path / "old.json"), written(report(), tmp_path / "new.json")
    with_calls, without = (diff(a, new, fail_if=("unet.role:attention_core.flops > 1",)) for a in (new, old))
    assert with_calls.same
    assert without.same
    assert [with_calls.rules[0].outcome, without.rules[0].outcome] == ["violated", "unknown"]


def test_what_was_asked_for_and_is_not_known_is_said_with_the_reason(tmp_path: Path) -> None:
    other = replace(PAIR, stages=(replace(PAIR.stages[0], parameters=1), PAIR.stages[1]))
    old = older(PAIR, tmp_path / "old.json")
    assert "an older version wrote one of the reports without its calls" in diff_markdown(diff(old, other), "node")
    row = ALL["characterize"].models[0]
    two = replace(ALL["characterize"], models=(replace(row, parameters=1),))
    found = diff_markdown(diff(ALL["characterize"], two), "op")
    assert "are by stage" in found
