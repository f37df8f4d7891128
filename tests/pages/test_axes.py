"""Axes that would mislead: ticks of whole things that round to one number, names that are cut off."""

from __future__ import annotations

from dataclasses import replace

import graphlab
from graphlab.pages.diff import diff_document
from graphlab.pages.rewrite_figures import operators_figure
from graphlab.report.html.assets import script
from tests.report.sample import UNET, report
from tests.report.test_rewrite_schema import REPORT


def test_calls_are_counted_in_whole_numbers() -> None:
    stage = REPORT.stages[0]
    one, none = replace(stage.before, operators={"aten.mul.Tensor": 1}), replace(stage.after, operators={})
    chart = operators_figure(replace(stage, before=one, after=none)).chart
    assert chart is not None
    for layer in chart["layer"]:
        assert layer["encoding"]["x"]["axis"]["tickMinStep"] == 1


def test_names_of_quantities_are_not_cut_off() -> None:
    peak = replace(UNET.peak_activation_bytes, materialized=10**9)
    found = graphlab.diff(report(stages=(UNET,)), report(stages=(replace(UNET, peak_activation_bytes=peak),)))
    (figure,) = diff_document(found).sections[0].figures
    assert max(len(str(row["place"])) for row in figure.rows) * 6 < 260
    assert "labelLimit: narrow.matches ? 140 : 260" in script()
