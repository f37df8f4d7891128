"""Operators without a rule in a characterization."""

from __future__ import annotations

import json
from functools import lru_cache

import graphlab
from graphlab import CharacterizationReport, diff
from graphlab.report.characterization_tables import models_table, stages_table, times_table
from graphlab.report.decoding import decode
from graphlab.sources.bare import program_workload
from tests.unruled import FLOPS, known, mixed, odd


@lru_cache(maxsize=1)
def report() -> CharacterizationReport:
    programs = {"mixed": mixed(), "odd": odd(), "known": known()}
    workloads = [program_workload(program, name) for name, program in programs.items()]
    return graphlab.characterize(workloads, figure_names=["pareto", "roofline", "steps"], cache=False)


def test_rows_have_none_where_nothing_is_known_and_count_what_is_not() -> None:
    rows = {row.name: row for row in report().models}
    assert {name: (row.flops, row.unknown_nodes) for name, row in rows.items()} == {
        "mixed": (FLOPS, 2), "odd": (None, 1), "known": (FLOPS, 0),
    }  # fmt: skip
    assert [(stage.flops, stage.unknown_nodes) for stage in rows["odd"].stages] == [(None, 1)]
    data = json.loads(json.dumps(report().to_dict()))
    assert (data["models"][1]["flops"], data["models"][1]["stages"][0]["unknown_nodes"]) == (None, 1)
    assert decode(CharacterizationReport, data) == report()


def test_tables_say_unknown() -> None:
    for table in (models_table(report()), stages_table(report())):
        heads = [column.head for column in table.columns]
        cells = {row[0].split()[0]: row[heads.index("FLOP")] for row in table.rows}
        assert cells == {"mixed": "131.1 k+", "odd": "unknown", "known": "131.1 k"}
        assert "are not in it" in table.note
        assert "fused bytes" in heads
    assert [row[2].endswith("+") for row in times_table(report()).rows] == [True, True, False]


def test_figures_say_which_flops_are_not_all_there() -> None:
    pareto, roofline = report().figure("pareto"), report().figure("roofline")
    assert {row["model"]: row["flops"] for row in pareto.rows} == {"mixed": FLOPS, "odd": None, "known": FLOPS}
    assert {row["model"] for row in roofline.rows if row["kind"] == "stage"} == {"mixed", "known"}
    assert "odd odd has no call with a rule, and so no intensity that is known" in roofline.notes
    for figure in (pareto, roofline):
        assert "mixed mixed: FLOPs are without those of 2 calls that have no rule" in figure.notes
        assert not any(note.startswith("known known") for note in figure.notes)


def test_diff_says_unknown() -> None:
    rules = ("odd.flops > 1", "mixed.flops > 1", "known.flops > 1T", "odd.bytes > 1TB")
    found = diff(report(), report(), fail_if=rules)
    assert [item.outcome for item in found.rules] == ["unknown", "unknown", "held", "held"]
    assert "none of b's 1 calls has a rule" in found.rules[0].why
