"""docs/json_schema.md names every key of a rewrite's JSON, and no other; tables and Markdown show what it holds."""

from __future__ import annotations

import json
import re
from dataclasses import replace

from graphlab.report.rewrite_data import (
    SCHEMA,
    ChangedValue,
    ChangeRow,
    DriftRow,
    KeptRow,
    MaskedWeight,
    PartRow,
    PassRow,
    ProgramFigures,
    Reason,
    RegionGroup,
    ReuseRow,
    RewriteReport,
    SkipGroup,
    SplitRow,
    StageRewrite,
    TensorRow,
    VerificationRow,
    pattern,
)
from graphlab.report.rewrite_tables import (
    diff_lines,
    drift_lines,
    rewrite_fields,
    rewrite_tables,
    stage_notes,
    verification_lines,
    verifications,
)
from graphlab.report.rewrite_writers import rewrite_json, rewrite_markdown
from tests.report.schema_keys import DOC, keys

TITLE = "# The JSON of `graphlab rewrite --json`\n"
FIGURES = ProgramFigures(9, 2_000, 300, 4096, 1, 2, 1 << 20, 1, 2048, {"aten.bmm.default": 2})
REGION = RegionGroup(
    "blocks.*.attn",
    ("a.py:3",),
    (Reason("fuse-attention", "softmax(q k) v"),),
    ("s = matmul(q, k)",),
    ("o = sdpa()",),
    16,
)
SIZES = ({"sample.d2": 64}, {"sample.d2": 72})
PARTS = (PartRow("before", 9, 10, 1, 64, 16), PartRow("step", 5, 6, 1, 32, 8))
UNCHECKED = VerificationRow("whole", "the program that was split", SIZES, None, None, None, 0, 0, False, ("too large",))
STAGE = StageRewrite(
    name="unet",
    symbols={"sample.d2": 64},
    before=FIGURES,
    after=replace(FIGURES, nodes=7, attention_spelled=0, unknown=0),
    passes=(PassRow("fuse-attention", 2, 1, 0.5, True), PassRow("fuse-qkv", 0, 16, 0.25, True)),
    changes=(ChangeRow("fuse-attention", "softmax(q k) v", "blocks.0", "a.py:3", (ChangedValue("s", "o"),)),),
    skips=(SkipGroup("fuse-qkv", "it is alone <here>", "blocks.*.attn", "a.py:4", ("linear", "linear_1")),),
    new_tensors=tuple(TensorRow(f"b.{i}.attn.qkv", 96, (f"b.{i}.attn.q", f"b.{i}.attn.k")) for i in (0, 1)),
    dropped=(TensorRow("blocks.0.attn.q", 32, ()),),
    history=("fuse-attention",),
    holds_weights=False,
    masks=(MaskedWeight("w", (2, 4), 8, 2, 0.25, 1, None, None),),
    verification=VerificationRow("regions", "the program given", SIZES, 1e-12, None, None, 3, 2, False, ("a loop",)),
    diff=(REGION,),
    split=SplitRow("", ("text",), ("timestep",), PARTS, 8, 0.5, verification=UNCHECKED),
    output="out.pt2",
    notes=("static",),
    reuse=ReuseRow(
        "", 3, (*PARTS[:1], PartRow("refresh", 9, 10, 1, 64, 16), PartRow("reuse", 5, 4, 1, 32, 8)),
        (KeptRow("conv", "up.0", 2048),), 25, 9, 250, 154,
        replace(UNCHECKED, base="the program whole"), DriftRow(2, 25, (6, 12), (0.25, None), "drawn"),
    ),
)  # fmt: skip
REPORT = RewriteReport(
    "file.pt2", "toy", {"height": 64, "scale": 1.5}, 2, ("fuse-attention",), (STAGE,), ("a guess",), ("reuse,every=3",)
)


def section() -> str:
    return DOC.read_text().split(TITLE)[1].split("\n# ")[0]


def found_keys() -> set[str]:
    """Paths of every key; names of the model's own in `bindings` of a verification are one."""
    data = json.loads(rewrite_json(REPORT))
    paths = keys(data)
    return {re.sub(r"(verification\.bindings\[\])\..*", r"\1.*", path) for path in paths}


def test_every_key_is_documented_and_every_documented_key_is_there() -> None:
    documented = re.findall(r"^- `([^`]+)`:", section(), flags=re.MULTILINE)
    assert len(documented) == len(set(documented))
    assert found_keys() == set(documented)


def test_the_section_names_the_version() -> None:
    assert f"`{SCHEMA}`" in section()
    assert REPORT.to_dict()["schema"] == SCHEMA


def test_optional_parts_are_null() -> None:
    bare = replace(STAGE, verification=None, diff=None, split=None, output=None)
    data = json.loads(rewrite_json(replace(REPORT, stages=(bare,), level=None)))
    assert data["level"] is None
    assert [data["stages"][0][key] for key in ("verification", "diff", "split", "output")] == [None] * 4


def test_tables_add_up_and_group() -> None:
    tables = {table.title.split(": ")[1]: table for table in rewrite_tables(REPORT)}
    assert tables["passes"].rows[-1] == ("total", "2", "17", "750 ms")
    assert tables["new tensors"].rows == (("2 x", "192 B", "b.*.attn.qkv", "q, k"),)
    assert tables["new tensors"].note.startswith("2 new tensors of 192 B; 1 weights of 32 B dropped")
    assert tables["what stayed, and why"].rows == (("2 x", "fuse-qkv", "it is alone <here>", "blocks.*.attn"),)
    assert tables["masked weights"].rows == (("w", "2x4", "2", "25.0 %", "1", "NaN", "-"),)
    assert ("calls without a rule", "1", "0") in tables["before and after"].rows
    assert [row[:2] for row in tables["over the loop"].rows] == [("before", "every step"), ("step", "every step")]
    assert "50.0 % of the parameters leave the loop" in tables["over the loop"].note


def test_lines_of_verification_and_diff() -> None:
    assert STAGE.verification is not None
    assert list(verification_lines(STAGE.verification)) == [
        "equal to the program given, compared region by region",
        "sizes: sample.d2=64; sample.d2=72",
        "float64: largest relative error 1e-12",
        "model's dtype: not compared; rounding alone gives not compared",
        "3 regions compared, 2 of them different",
        "not checked: a loop",
    ]
    assert [title for title, _ in verifications(STAGE)] == [
        "unet: verification before features are reused",
        "unet: verification over the loop",
        "unet: verification where nothing is old",
    ]
    assert next(verifications(replace(STAGE, reuse=None)))[0] == "unet: verification"
    assert list(verification_lines(UNCHECKED)) == [
        "not compared with the program that was split",
        "not checked: too large",
    ]
    assert list(diff_lines(REGION)) == [
        "@@ 16 x blocks.*.attn a.py:3 @@",
        "# fuse-attention: softmax(q k) v",
        "# 1 calls -> 1",
        "- s = matmul(q, k)",
        "+ o = sdpa()",
    ]
    assert "written to out.pt2" in list(stage_notes(STAGE))


def test_what_is_approximate_says_so_and_how_far_it_is_off() -> None:
    assert ("approximate", "reuse,every=3: results may differ from the exact model's") in rewrite_fields(REPORT)
    assert "approximate" not in dict(rewrite_fields(replace(REPORT, approximate=())))
    table = next(table for table in rewrite_tables(REPORT) if "approximate" in table.title)
    assert [row[:2] for row in table.rows] == [
        ("before", "every step: 25"),
        ("refresh", "every 3. step, from the first: 9"),
        ("reuse", "the other steps: 16"),
    ]
    assert "up.0, 2 KiB; FLOP of a generation: 250 exact, 154 approximate (61.6 %)" in table.note
    lines = list(drift_lines(STAGE))
    assert lines[0].startswith("features 2 steps old: results differ by 0.25, not finite (")
    assert lines[1] == "at steps 6, 12 of 25, inputs drawn, weights drawn"
    assert list(drift_lines(replace(STAGE, reuse=None))) == []
    stays = replace(STAGE, reuse=ReuseRow("there is no loop", 3))
    assert "no feature is reused: there is no loop" in list(stage_notes(stays))
    assert "- features 2 steps old" in rewrite_markdown(REPORT)


def test_markdown_escapes_what_is_the_models() -> None:
    text = rewrite_markdown(REPORT)
    assert r"it is alone \<here\>" in text
    assert "    - s = matmul(q, k)" in text
    assert text.endswith("- a guess\n")


def test_patterns_leave_numbers_of_paths_open() -> None:
    assert pattern("blocks.10.attn1.to_q2.3") == "blocks.*.attn1.to_q2.*"
    assert pattern("0.weight") == "*.weight"
    assert pattern("") == ""
