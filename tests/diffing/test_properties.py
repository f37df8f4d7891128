"""What holds for any two reports: nothing differs from itself, changes turn round, sums are sums."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from graphlab import diff
from graphlab.diffing.quantities import BY_NAME
from graphlab.report.data import AnalysisReport
from graphlab.report.diff_data import Change, DiffReport
from tests.diffing.samples import ALL, analyses

QUICK = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine draws slowly


def every_change(report: DiffReport) -> dict[tuple[str, ...], Change]:
    """{place: change} of all numbers of a report."""
    found = {("total", item.quantity): item for item in report.totals}
    for part in report.parts:
        found |= {(part.name, item.quantity): item for item in part.changes}
        found |= {(part.name, g.by, g.name, item.quantity): item for g in part.groups for item in g.changes}
    return found


@pytest.mark.parametrize("kind", list(ALL))
def test_nothing_differs_from_itself(kind: str) -> None:
    found = diff(ALL[kind], ALL[kind])
    assert found.kind == kind
    assert found.same
    assert every_change(found)
    assert all(item.absolute in (0, None) and item.relative in (0.0, None) for item in every_change(found).values())


@settings(QUICK, max_examples=40)
@given(analyses())
def test_no_analysis_differs_from_itself(one: AnalysisReport) -> None:
    found = diff(one, one)
    assert found.same
    assert all(part.nodes is not None and part.nodes.rows == () for part in found.parts)
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["same"] is True


@settings(QUICK, max_examples=40)
@given(analyses(), analyses())
def test_changes_turn_round(a: AnalysisReport, b: AnalysisReport) -> None:
    there, back = every_change(diff(a, b)), every_change(diff(b, a))
    assert len(diff(a, b).parts) == len(diff(b, a).parts)
    if len(a.stages) != 1 or len(b.stages) != 1:  # stages of two names are called after a's
        assert there.keys() == back.keys()
        for place, item in there.items():
            other = back[place].absolute
            assert item.absolute == (None if other is None else -other), place


@settings(QUICK, max_examples=60)
@given(analyses(), analyses())
def test_changes_of_stages_add_up_to_that_of_the_total(a: AnalysisReport, b: AnalysisReport) -> None:
    found = diff(a, b, stage=None)
    for item in found.totals:
        parts = [part.change(item.quantity) for part in found.parts]
        if not BY_NAME[item.quantity].adds:
            continue
        changes = [c.absolute for c in parts if c is not None]
        if None in changes or item.absolute is None:
            assert item.absolute is None
        else:
            assert sum(c for c in changes if c is not None) == pytest.approx(item.absolute, rel=1e-9, abs=1e-12)


@settings(QUICK, max_examples=40)
@given(analyses(), analyses())
def test_every_call_is_matched_once_or_told_apart(a: AnalysisReport, b: AnalysisReport) -> None:
    for part in diff(a, b).parts:
        if part.nodes is None:
            continue
        left, right = a.stage(part.a or ""), b.stage(part.b or "")
        matched = part.nodes.by_shape + part.nodes.by_module + part.nodes.by_operator
        assert matched + part.nodes.only_a == len(left.nodes)
        assert matched + part.nodes.only_b == len(right.nodes)
        assert matched == part.nodes.same + sum(row.status == "changed" for row in part.nodes.rows)


@settings(QUICK, max_examples=40)
@given(analyses(), analyses())
def test_attentions_that_are_left_account_for_the_change_of_their_number(a: AnalysisReport, b: AnalysisReport) -> None:
    for part in diff(a, b).parts:
        if part.a is None or part.b is None:
            continue
        count = {status: sum(d.count for d in part.attention if d.status == status) for status in ("added", "removed")}
        change = part.change("attention")
        assert change is not None
        assert change.absolute == count["added"] - count["removed"]


@pytest.mark.parametrize("kind", list(ALL))
def test_a_report_and_its_file_are_the_same(kind: str, tmp_path: Any) -> None:
    file = tmp_path / "report.json"
    file.write_text(json.dumps(ALL[kind].to_dict()))
    assert diff(ALL[kind], file).same
    assert replace(diff(file, file), a=diff(ALL[kind], file).a).parts == diff(ALL[kind], file).parts
