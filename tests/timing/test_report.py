"""docs/json_schema.md names every key of a bench's JSON, and no other; totals add stages up; the figure is drawn."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from graphlab.report.bench_data import SCHEMA, Interval, Ratio, Total
from graphlab.report.bench_writers import bench_json, bench_markdown
from graphlab.timing.figure import bench_figure
from graphlab.timing.totals import totals
from tests.report.schema_keys import DOC, keys
from tests.timing.sample_report import BASE, EVERYTHING, FAST, WRONG, report, times

TITLE = "# The JSON of `graphlab bench --json`\n"


def section() -> str:
    return DOC.read_text().split(TITLE)[1].split("\n# ")[0]


def test_every_key_is_documented_and_every_documented_key_is_there() -> None:
    documented = re.findall(r"^- `([^`]+)`:", section(), flags=re.MULTILINE)
    assert len(documented) == len(set(documented))
    ratio = Ratio(2.0, Interval(1.0, 3.0), "faster", 8)
    full = replace(EVERYTHING, totals=(Total("eager", 1.0, Interval(0.9, 1.1), ratio, False),))
    assert keys(json.loads(bench_json(full))) == set(documented)
    assert f"`{SCHEMA}`" in section()


def test_every_status_and_verdict_is_documented() -> None:
    from typing import get_args

    from graphlab.report.bench_data import Status, Verdict

    for name in (*get_args(Status), *get_args(Verdict)):
        assert f"`{name}`" in section(), name


def test_totals_add_stages_up_round_by_round() -> None:
    first = report(replace(BASE, times=times(1.0, 2.0, 3.0)), replace(FAST, times=times(0.5, 1.0, 1.5, 9.0)))
    second = report(replace(BASE, times=times(10.0, 20.0)), replace(FAST, times=times(5.0, 10.0, estimate=True)))
    base, fast = totals((*first.stages, *second.stages))
    assert (base.seconds, base.ratio, base.interval, base.estimate) == (pytest.approx(16.5), None, None, False)
    assert fast.seconds == pytest.approx(8.25)
    assert fast.ratio is not None
    assert (fast.ratio.median, fast.ratio.verdict, fast.ratio.rounds) == (pytest.approx(2.0), "unknown", 2)
    assert fast.estimate


def test_a_candidate_missing_from_a_stage_has_no_total() -> None:
    first, second = report(BASE, FAST), report(BASE, replace(WRONG, label=FAST.label))
    base, fast = totals((*first.stages, *second.stages))
    assert base.seconds == pytest.approx(4.0)
    assert (fast.seconds, fast.ratio) == (None, None)


def test_markdown_holds_what_failed_and_what_is_to_be_known() -> None:
    text = bench_markdown(EVERYTHING)
    assert "- broken: wrong: output 1 differs" in text
    assert "| inductor -O2 | 1 s | 950 ms | 1.05 s | 2.000 | 1.900 to 2.100 | faster |" in text
    assert "- weights are random" in text


def test_the_figure_has_a_row_for_everybody_who_was_timed() -> None:
    figure = bench_figure(EVERYTHING)
    assert [row["candidate"] for row in figure.rows] == ["eager", "inductor -O2", "eager #2", "openvino"]
    assert figure.rows[1]["verdict"] == "faster"
    assert figure.rows[3]["ratio_low"] is None
    assert "inductor -O2" in str(figure.to_svg())
