"""JSON, CSV and Markdown: exact where it is short, deterministic, and literal about hostile names."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace

import pytest

from graphlab.report.csv_writer import COLUMNS, to_csv
from graphlab.report.json_writer import to_json
from graphlab.report.markdown import escape
from graphlab.report.markdown_writer import to_markdown
from tests.report.sample import HOSTILE, UNET, report


def test_json_is_the_dictionary_in_its_order_and_ends_in_a_newline() -> None:
    text = to_json(report())
    assert text.endswith("}\n")
    assert list(json.loads(text)) == list(report().to_dict())
    assert json.loads(text) == json.loads(json.dumps(report().to_dict()))
    assert text == to_json(report())


def test_json_keeps_integers_and_is_ascii() -> None:
    big = replace(UNET, flops_total=803_273_441_280_123_456_789, name="h\u00f6he\ud800")
    text = to_json(report(stages=(big,), device=False))
    assert '"flops_total": 803273441280123456789,' in text
    assert text.isascii()


def test_json_refuses_what_is_no_number() -> None:
    sick = replace(report(), bindings={"guidance": float("nan")})
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json(sick)


def test_csv_has_a_row_a_call_and_empty_cells_for_the_unknown() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(report(device=False)))))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == sum(len(stage.nodes) for stage in report().stages)
    conv, mystery = rows[0], rows[5]
    assert conv["module"] == HOSTILE
    assert (conv["stage"], conv["shape"], conv["flops"], conv["attention"]) == ("unet", "2x3", "40000", "")
    assert (mystery["flops"], mystery["pointwise_flops"], mystery["bytes_read"]) == ("", "", "200")
    assert rows[2]["attention"] == "softmax"
    assert {row["seconds"] for row in rows} == {""}


def test_csv_gives_ideal_seconds_with_a_device() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(report()))))
    assert [row["seconds"] for row in rows[:4]] == ["4.0", "3.0", "0.0", "5.0"]


def test_markdown_tables_are_well_formed() -> None:
    text = to_markdown(report())
    assert text == to_markdown(report())
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    for block in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1, block


def test_markdown_holds_every_table_and_list() -> None:
    text = to_markdown(report())
    for title in ("Stages", "unet: one call by category", "unet: one call by role", "unet: attention", "Memory",
                  "Ops without a rule", "unet: how FLOPs grow", "Assumptions", "Notes"):  # fmt: skip
        assert f"## {escape(title)}\n" in text, title


def test_markdown_is_literal_about_markup() -> None:
    assert escape("a|b*[c](d)<e>`\nf") == r"a\|b\*\[c\](d)\<e\>\` f"
    assert "<b>" not in to_markdown(report())
