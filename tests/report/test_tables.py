"""What each table says, cell by cell where it matters."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graphlab.report.data import AttentionRow, Fit
from graphlab.report.tables import (
    GROUPINGS,
    attention_table,
    estimate_table,
    fit_lines,
    groups_table,
    inputs_table,
    memory_table,
    report_tables,
    scaling_table,
    stages_table,
    unknown_table,
)
from tests.report.sample import DECODER, UNET, attention, report


@pytest.mark.parametrize("device", [True, False])
@pytest.mark.parametrize("by", GROUPINGS)
def test_every_row_has_a_cell_a_column(device: bool, by: str) -> None:
    for table in report_tables(report(device=device), by, depth=2, top=3):
        assert all(len(row) == len(table.columns) for row in table.rows), table.title
        assert table.shares is None or len(table.shares) == len(table.rows)


def test_stages_and_their_sum() -> None:
    table = stages_table(report())
    assert table.rows[0][:6] == ("unet", "50 x 2", "1.234 k", "42 k+", "4.2 M+", "1.367 KiB")
    assert table.rows[-1][0] == "total"
    assert table.rows[-1][4].endswith("+")
    assert "calls without a rule" in table.note
    assert "+" not in stages_table(report(stages=(DECODER,))).note
    assert len(stages_table(report(stages=(UNET,))).rows) == 1


def test_groups_are_shares_of_flops_or_of_the_ideal_time() -> None:
    table = groups_table(UNET, "category")
    assert table.rows[0][:3] == ("convolution", "1", "40 k")
    assert table.shares is not None
    assert sum(table.shares) == pytest.approx(1.0)
    timed = groups_table(report().stages[0], "category")
    assert [column.head for column in timed.columns][-2:] == ["ideal time", "share"]
    assert timed.rows[0][0] == "activation"  # the anchor of the attention carries its time
    assert "shares of the ideal time, attention fused; materialized: attention scores in memory" in timed.note
    assert "spelled out stands at its softmax" in timed.note
    assert [column.head for column in timed.columns][4] == "materialized bytes"


def test_an_op_without_a_rule_is_unknown_not_zero() -> None:
    cells = {row[0]: row[2] for row in groups_table(UNET, "category").rows}
    assert cells["other"] == "unknown"
    mixed = {row[0]: row[2] for row in groups_table(UNET, "role").rows}
    assert mixed["other"] == "0+"
    pointwise = {row[0]: row[3] for row in groups_table(UNET, "category").rows}
    assert pointwise["other"] == "unknown"


def test_modules_are_cut_to_a_depth_and_the_rest_is_one_row() -> None:
    nodes = tuple(replace(UNET.nodes[0], name=f"n{i}", module=f"blocks.{i}.conv", flops=100 - i) for i in range(5))
    stage = replace(UNET, nodes=nodes)
    assert [row[0] for row in groups_table(stage, "module", depth=1).rows] == ["blocks"]
    table = groups_table(stage, "module", depth=2, top=2)
    assert [row[0] for row in table.rows] == ["blocks.0", "blocks.1", "(3 more)"]
    assert table.rows[-1][1:3] == ("3", "291")
    assert "--top 5 shows all" in table.note


def rows(text: str) -> tuple[AttentionRow, ...]:
    """Attentions from letters: s self, c cross, t temporal self."""
    kinds = {"s": ("self", "spatial"), "c": ("cross", "spatial"), "t": ("self", "temporal")}
    return tuple(attention(f"a{i}", kinds[c][0], axis=kinds[c][1]) for i, c in enumerate(text))


@pytest.mark.parametrize(
    ("trace", "times"),
    [
        ("s", ["1 x"]),
        ("ssss", ["4 x"]),
        ("scsc", ["2 x (", ")"]),
        ("scs", ["1 x", "1 x", "1 x"]),
        ("scttscttscttc", ["3 x (", "", "", ")", "1 x"]),
        ("sssc", ["3 x", "1 x"]),
    ],
)
def test_repeated_attentions_are_written_once(trace: str, times: list[str]) -> None:
    table = attention_table(replace(UNET, attention=rows(trace)))
    assert table is not None
    assert [row[0] for row in table.rows] == times


def test_a_repetition_adds_its_flops_up_and_the_whole_trace_is_kept() -> None:
    stage = replace(UNET, attention=rows("scsc"))
    table = attention_table(stage)
    each = attention_table(stage, grouped=False, top=3)
    assert table is not None
    assert each is not None
    assert [row[-1] for row in table.rows] == ["4 k", "4 k"]
    assert [row[0] for row in each.rows] == ["a0", "a1", "a2"]
    assert each.note.endswith("1 not shown")


def test_unknown_facts_say_so() -> None:
    table = attention_table(replace(UNET, attention=(attention("a", None, axis=None, causal=None, heads=None),)))
    assert table is not None
    assert table.rows[0][1:6] == ("unknown", "unknown", "unknown", "1", "unknown")


def test_tables_that_have_nothing_to_say_are_absent() -> None:
    bare = report(device=False, stages=(DECODER,))
    assert attention_table(DECODER) is None
    assert scaling_table(DECODER) is None
    assert unknown_table(bare) is None
    assert estimate_table(bare) is None
    assert memory_table(bare).note == ""


def test_inputs_name_their_axes_and_what_set_takes() -> None:
    table = inputs_table(report())
    assert table.rows[0] == ("unet", "sample", "2 x 4 x 8 x 8", "float16", "b* d1")
    assert table.note.startswith("--set takes height, width, guidance")


def test_fit_in_words() -> None:
    fit = Fit(100, 90, 20, 0, False, True, None)
    assert list(fit_lines(fit, "toy")) == [
        "does not fit toy: 110 B of 100 B, of which drivers keep some",
        "one stage at a time fits",
    ]
    assert list(fit_lines(None, None)) == []
