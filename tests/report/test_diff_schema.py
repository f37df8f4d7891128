"""docs/json_schema.md names every key of a diff's JSON, and no other; tables show what it holds."""

from __future__ import annotations

import json
import re
from dataclasses import replace

from graphlab import diff
from graphlab.report.diff_data import SCHEMA, Change, DiffReport, GroupDiff, NodeDiff, NodeFacts, NodesDiff, PartDiff
from graphlab.report.diff_groups import groups_table, nodes_table
from graphlab.report.diff_tables import attention_table, changes_table, percent
from graphlab.report.json_writer import to_json
from tests.diffing.samples import BASE, BENCH, CHARACTERIZATION, FINDING, KNOWN, bench_report, times
from tests.report.sample import DECODER, attention, node, report
from tests.report.schema_keys import DOC, keys

TITLE = "# The JSON of `graphlab diff --json`\n"


def everything() -> list[DiffReport]:
    """Reports that have every key between them."""
    calls = (replace(KNOWN.nodes[0], shape=(9, 9)), *KNOWN.nodes[2:], node("new", "aten.exp.default", "elementwise"))
    row = attention("softmax", "self", q_tokens=64)
    other = replace(KNOWN, nodes=calls, attention=(row, row), flops_expression="height")
    first = report(stages=(KNOWN, DECODER))
    changed = replace(report(stages=(other, DECODER)), bindings={"height": 128})
    added = diff(report(stages=(replace(KNOWN, attention=()), DECODER)), first)
    words = replace(CHARACTERIZATION, findings=(replace(FINDING, verdict="refuted"),))
    slower = bench_report(replace(BASE, times=times(*(2.0 + 0.1 * index for index in range(8)))))
    found = diff(first, changed, fail_if=("flops > 0%",))
    return [found, added, diff(CHARACTERIZATION, words), diff(BENCH, slower)]


def test_every_key_is_documented_and_every_documented_key_is_there() -> None:
    section = DOC.read_text().split(TITLE)[1].split("\n# ")[0]
    documented = re.findall(r"^- `([^`]+)`:", section, flags=re.MULTILINE)
    assert len(documented) == len(set(documented))
    found = {key for item in everything() for key in keys(json.loads(to_json(item)))}
    timings = {key for key in found if re.match(r"(totals|parts\[\]\.changes)\[\]\.timing\.", key)}
    assert found - timings == set(documented)
    assert f"`{SCHEMA}`" in section


def test_quantities_that_did_not_change_are_named_in_the_note() -> None:
    rows = (Change("flops", "FLOP", 1000, 1010), Change("params", "", 5, 5), Change("seconds", "s", None, None))
    table = changes_table("t", rows)
    assert table.rows == (("flops", "1 kFLOP", "1.01 kFLOP", "+10 FLOP", "+1 %"),)
    assert table.note == "same: params; unknown: seconds"
    (row,) = changes_table("t", (Change("flops", "FLOP", 1000, 1000, uncounted_a=2),)).rows
    assert row == ("flops", "1 kFLOP+", "1 kFLOP", "0", "0 %")


def test_percent_of_odd_changes() -> None:
    assert [percent(value) for value in (None, 0.0, float("inf"), 0.015, -1.0)] == [
        "-",
        "0 %",
        "new",
        "+1.5 %",
        "-100 %",
    ]


def group(name: str, a: int, b: int, by: str = "module") -> GroupDiff:
    status = "same" if a == b else "changed"
    return GroupDiff(by, name, status, (Change("nodes", "", 1, 1), Change("flops", "FLOP", a, b)))


def test_groups_are_cut_joined_and_sorted_by_the_size_of_their_change() -> None:
    groups = (group("a.b.c", 10, 10), group("a.b.d", 10, 15), group("a.x", 100, 50), group("z", 7, 7))
    part = PartDiff("unet", "unet", "unet", (), groups)
    table = groups_table(part, "module", depth=2, top=1)
    assert table is not None
    assert table.rows == (("a.x", "100 FLOP", "50 FLOP", "-50 FLOP", "-50 %"),)
    assert "--top 2 shows all" in table.note
    whole = groups_table(part, "module", depth=1)
    assert whole is not None
    assert whole.rows == (("a", "120 FLOP", "75 FLOP", "-45 FLOP", "-37.5 %"),)
    assert groups_table(part, "op") is None


def test_alike_calls_and_attentions_are_written_once() -> None:
    part = everything()[0].part("unet")
    table = attention_table(part)
    assert table is not None
    assert ("1 x", "changed", "self spatial, spelled out", "1", "2", "16 -> 64", "16", "8") in table.rows
    assert attention_table(replace(part, attention=())) is None
    rows = tuple(NodeDiff("removed", (), _facts(f"b.{index}.attn"), None) for index in range(3))
    calls = nodes_table(replace(part, nodes=NodesDiff(0, 0, 0, 0, 3, 0, rows)))
    assert calls is not None
    assert calls.rows == (("3 x", "removed", "aten.add.Tensor", "b.*.attn", ""),)


def _facts(module: str) -> NodeFacts:
    return NodeFacts("n", "aten.add.Tensor", module, (2, 3), "float16", 0, 6, 36)
