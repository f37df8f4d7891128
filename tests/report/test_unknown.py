"""Operators without a rule, from a real capture to every output: what is not known is never written as 0."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

import graphlab
from graphlab import AnalysisReport, diff
from graphlab.cli.main import main
from graphlab.diffing.side import Value, added
from graphlab.pages.rewrite_figures import before_after_figure
from graphlab.pipeline import Facts
from graphlab.report.analysis_reading import analysis_report
from graphlab.report.json_writer import to_json
from graphlab.report.markdown_writer import to_markdown
from graphlab.report.older import analysis_of, rewrite_of
from graphlab.report.rewrite_data import as_json
from graphlab.report.rewrite_tables import figures_table
from graphlab.report.tables import Table, estimate_table, groups_table, stages_table
from graphlab.rewriting.account import figures
from tests.report.sample import DEVICE
from tests.report.test_rewrite_schema import REPORT
from tests.unruled import FLOPS, known, mixed, odd


@lru_cache(maxsize=4)
def analysed(name: str, *, timed: bool = False) -> AnalysisReport:
    program = {"mixed": mixed, "odd": odd, "known": known}[name]()
    return graphlab.analyze(program, DEVICE if timed else None)


def cells(table: Table | None, row: int) -> dict[str, str]:
    assert table is not None
    return dict(zip((column.head for column in table.columns), table.rows[row], strict=True))


def as_before(report: AnalysisReport, *, calls: bool) -> dict[str, Any]:
    """The JSON of `report` as versions wrote it that had 0 for what is unknown; without `calls` older still."""
    data: dict[str, Any] = json.loads(to_json(report))
    for stage in data["stages"]:
        del stage["unknown_nodes"]
        for key in ("flops_per_step", "pointwise_flops_per_step", "flops_total", "pointwise_flops_total"):
            stage[key] = stage[key] or 0
        stage["flops_expression"] = stage["flops_expression"] or "0"
        for group in (*stage["categories"].values(), *stage["roles"].values()):
            del group["unknown_nodes"]
            group |= {"flops": group["flops"] or 0, "pointwise_flops": group["pointwise_flops"] or 0}
        for key in () if calls else ("modules", "at_peak", "nodes", "analyses"):
            del stage[key]
    return data


def test_json_has_null_where_nothing_is_known_and_counts_what_is_not() -> None:
    found = analysed("odd", timed=True).to_dict()
    (stage,) = found["stages"]
    sums = ("flops_per_step", "pointwise_flops_per_step", "flops_total", "pointwise_flops_total", "flops_expression")
    assert [stage[key] for key in sums] == [None] * 5
    assert (found["totals"]["flops"], found["totals"]["pointwise_flops"]) == (None, None)
    assert (found["totals"]["unknown_nodes"], stage["unknown_nodes"]) == (1, 1)
    for groups in (stage["categories"], stage["roles"]):
        (group,) = groups.values()
        assert (group["nodes"], group["unknown_nodes"], group["flops"], group["pointwise_flops"]) == (1, 1, None, None)
        assert group["bytes"] == 2 * 4 * 2 * 8 * 64
    assert stage["estimate"]["intensity"] is None
    assert stage["estimate"]["seconds"] == 2 * 4 * 2 * 8 * 64 / DEVICE.bandwidth


def test_json_has_a_lower_bound_with_its_mark_where_something_is_known() -> None:
    stage = analysed("mixed").to_dict()["stages"][0]
    assert (stage["flops_per_step"], stage["unknown_nodes"]) == (FLOPS, 2)
    assert {name: (group["unknown_nodes"], group["flops"]) for name, group in stage["categories"].items()} == {
        "linear": (0, FLOPS), "activation": (0, 0), "other": (2, None),
    }  # fmt: skip
    whole = analysed("known").to_dict()
    assert whole["stages"][0]["unknown_nodes"] == whole["totals"]["unknown_nodes"] == 0
    assert whole["totals"]["flops"] == FLOPS


def test_tables_say_unknown_and_mark_sums_and_times() -> None:
    none, some = analysed("odd", timed=True), analysed("mixed", timed=True)
    assert [cells(stages_table(none), 0)[head] for head in ("FLOP", "in total")] == ["unknown"] * 2
    assert cells(stages_table(none), 0)["ideal"].endswith("s+")
    assert cells(stages_table(some), 0)["FLOP"] == "131.1 k+"
    assert cells(estimate_table(none), 0)["FLOP/byte"] == "unknown"
    assert cells(estimate_table(some), 0)["FLOP/byte"].endswith("+")
    rows = [cells(groups_table(some.stages[0], "category"), row) for row in range(3)]
    assert {row["category"]: row["FLOP"] for row in rows} == {
        "linear": "131.1 k",
        "other": "unknown",
        "activation": "0",
    }
    assert [row["ideal time"].endswith("+") for row in rows] == [row["category"] == "other" for row in rows]
    untimed = groups_table(analysed("mixed").stages[0], "category")
    assert {row[0]: row[-1] for row in untimed.rows} == {"linear": "100.0 %", "activation": "0.0 %", "other": "unknown"}
    assert "shares of the FLOPs that are known" in untimed.note
    assert "times are those of their bytes alone" in groups_table(some.stages[0], "category").note
    assert "unknown" in to_markdown(none)


def test_a_report_of_a_stage_that_is_known_adds_nothing_to_its_tables() -> None:
    texts = to_markdown(analysed("known", timed=True))
    assert "unknown" not in texts
    assert "+:" not in texts


@pytest.mark.parametrize("name", ["odd", "mixed", "known"])
def test_a_saved_report_is_the_same_report(name: str) -> None:
    report = analysed(name, timed=True)
    assert analysis_report(json.loads(to_json(report))) == report


@pytest.mark.parametrize("name", ["odd", "mixed", "known"])
def test_files_of_before_are_read_as_what_they_meant(name: str, tmp_path: Path) -> None:
    report = analysed(name)
    assert analysis_report(as_before(report, calls=True)) == report
    old, older, page = tmp_path / "old.json", tmp_path / "older.json", tmp_path / "page.html"
    old.write_text(json.dumps(as_before(report, calls=True)))
    older.write_text(json.dumps(as_before(report, calls=False)))
    assert diff(old, report).same
    assert diff(older, report).same
    assert main(["report", str(old), "-o", str(page)]) == 0
    assert ("unknown" in page.read_text()) or name == "known"


def test_what_is_no_report_stays_as_it_is() -> None:
    for data in ({}, {"stages": 3}, {"stages": [3, {}, {"categories": [], "unknown": 1}]}):
        assert analysis_of(data) == rewrite_of(data) == data  # type: ignore[arg-type]  # broken on purpose
    assert analysis_of({"stages": [{"categories": {"other": 1}, "unknown": [2]}]})["stages"][0]["categories"] == {
        "other": 1
    }


@pytest.mark.parametrize(
    ("a", "b", "cell"),
    [
        ("odd", "odd", None),
        ("odd", "known", ("unknown", "131.1 kFLOP", "-", "-")),
        ("known", "odd", ("131.1 kFLOP", "unknown", "-", "-")),
        ("odd", "mixed", ("unknown", "131.1 kFLOP+", "-", "-")),
    ],
)
def test_diff_says_unknown(a: str, b: str, cell: tuple[str, ...] | None) -> None:
    from graphlab.report.diff_tables import changes_table

    found = diff(analysed(a), analysed(b), fail_if=("flops > +1%",))
    table = changes_table("t", found.parts[0].changes)
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows.get("flops") == cell
    assert cell is not None or "unknown: flops, pointwise" in table.note
    assert found.rules[0].outcome == "unknown"
    change = found.to_dict()["parts"][0]["changes"][0]
    assert (change["absolute"], change["relative"]) == (None, None)
    assert (change["a"] is None, change["uncounted_a"] > 0) == (a == "odd", a == "odd")


def test_times_without_a_device_are_unknown_for_that_reason() -> None:
    found = diff(analysed("odd"), analysed("known"), fail_if=("seconds > 1",))
    assert found.rules[0].why == "seconds is unknown: b has no number (it is not told)"
    seconds = found.part("odd").change("seconds")
    assert seconds is not None
    assert (seconds.a, seconds.uncounted_a, seconds.b) == (None, 0, None)
    timed = diff(analysed("odd", timed=True), analysed("known", timed=True)).part("odd").change("seconds")
    assert timed is not None
    assert (timed.a, timed.uncounted_a) == (8192 / DEVICE.bandwidth, 1)


def test_sums_over_stages_leave_out_what_is_unknown_and_say_so() -> None:
    assert added([Value(None, 1), Value(5, 2), Value(7)]) == Value(12, 3)
    assert added([Value(None, 1), Value(None, 2)]) == Value(None, 3)
    assert added([Value(None), Value(5)]) == Value(None)
    assert added([Value(None), Value(None, 2)]) == Value(None, 2)


def test_a_category_that_is_gone_went_to_nothing() -> None:
    (part,) = diff(analysed("mixed"), analysed("known")).parts
    gone = next(group for group in part.by("category") if group.name == "other")
    flops = gone.change("flops")
    assert flops is not None
    assert (gone.status, flops.a, flops.uncounted_a, flops.b, flops.uncounted_b) == ("removed", None, 2, 0, 0)


@pytest.mark.parametrize(
    ("rule", "a", "b", "code", "words"),
    [
        ("flops > +1%", "odd", "known", 4, "none of a's 1 calls has a rule"),
        ("flops > +1%", "known", "odd", 4, "none of b's 1 calls has a rule"),
        ("flops > +1%", "odd", "odd", 4, "none of a's 1 calls has a rule and none of b's"),
        ("flops > +1%", "known", "mixed", 4, "b has 2 calls without a rule, which are in no number"),
        ("flops > 1k", "odd", "known", 3, "VIOLATED"),  # a level reads b alone
        ("flops > 1T", "odd", "known", 0, "HELD"),
        ("other.flops > +0", "mixed", "known", 4, "none of a's 2 calls has a rule"),
        ("bytes_fused > +0%", "odd", "odd", 0, "HELD"),  # bytes are known
        ("uncounted > +0", "odd", "known", 0, "HELD"),
    ],
)
def test_rules_about_what_is_unknown_have_an_exit_code_of_their_own(
    rule: str, a: str, b: str, code: int, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / f"{place}.json" for place in ("a", "b")]
    for file, name in zip(files, (a, b), strict=True):
        file.write_text(to_json(analysed(name)))
    assert main(["diff", *map(str, files), "--fail-if", rule]) == code
    assert words in " ".join(capsys.readouterr().out.split())


def test_a_rewrite_says_unknown() -> None:
    found = [figures(Facts(program.graph, {})) for program in (odd(), mixed())]
    none, some = (replace(REPORT.stages[0], before=item, after=item) for item in found)
    assert (none.before.flops, none.before.unknown, some.after.flops, some.after.unknown) == (None, 1, FLOPS, 2)
    rows = {row[0]: row[1:] for row in figures_table(none).rows}
    assert rows["FLOP"] == rows["pointwise FLOP"] == ("unknown", "unknown")
    assert {row[0]: row[1] for row in figures_table(some).rows}["FLOP"] == "131.1 k+"
    assert "are not in it" in figures_table(some).note
    assert "FLOP" not in {row["measure"] for row in before_after_figure(none).rows}
    assert before_after_figure(some).notes == ("FLOP without those of calls without a rule: 2 before, 2 after",)
    data = json.loads(json.dumps(as_json(none.before)))
    assert (data["flops"], data["unknown"]) == (None, 1)
    old = {"stages": [{"before": data | {"flops": 0, "pointwise_flops": 0}, "after": data}]}
    assert rewrite_of(old)["stages"][0]["before"] == data
