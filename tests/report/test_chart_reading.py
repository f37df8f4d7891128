"""Charts of a stranger's report: what reads, links, runs or floods is refused by its place."""

from __future__ import annotations

import time
from typing import Any

import pytest

from graphlab.report.chart_reading import DEEPEST, MOST, check_chart
from graphlab.report.decoding import ReportFileError
from tests.report.html_document import breakdown, grid, growth, operators, panels

FOREIGN: list[tuple[dict[str, Any], str]] = [
    ({"data": {"url": "file:///etc/passwd"}}, "chart.data is no part"),
    ({"layer": [{"data": {"url": "https://example.org/x.json"}, "mark": "bar"}]}, r"chart.layer\[0\].data is no part"),
    ({"mark": {"type": "image", "url": "/etc/passwd"}}, "type is 'image', expected one of area"),
    ({"mark": "image"}, "mark is 'image'"),
    ({"mark": {"type": "bar", "href": "javascript:alert(1)"}}, "href is no part"),
    ({"encoding": {"href": {"field": "x"}}}, "href is no part"),
    ({"usermeta": {"embedOptions": {"patch": "https://example.org"}}}, "usermeta is no part"),
    ({"params": [{"name": "x", "expr": "1"}]}, "expr is no part"),
    ({"params": [{"name": "x", "bind": {"element": "body"}}]}, "element is no part"),
    ({"transform": [{"calculate": "pathShape(datum.x)", "as": "y"}]}, "more than a comparison"),
    ({"transform": [{"filter": "datum['constructor'].x"}]}, "more than a comparison"),
    ({"transform": [{"lookup": "x", "from": {}}]}, "lookup is no part"),
    ({"width": 1e9}, "chart.width is 1e.09, expected at most 10,000"),
    ({"encoding": {"x": {"axis": {"format": ".99999f"}}}}, "no format of a number"),
    ({"encoding": {"x": {"axis": {"tickCount": 1e9}}}}, "tickCount is no part"),
    ({"config": {"background": "red"}}, "config is no part"),
    ({"encoding": None}, "chart.encoding is no object"),
    ({"encoding": {"row": "x"}}, "chart.encoding.row is no object"),
    ({"layer": {"mark": "bar"}}, "chart.layer is no list of objects"),
    ({"transform": [3]}, "chart.transform is no list of objects"),
]


@pytest.mark.parametrize(("chart", "said"), FOREIGN)
def test_what_no_chart_of_graphlab_has_is_refused(chart: dict[str, Any], said: str) -> None:
    with pytest.raises(ReportFileError, match=said):
        check_chart({"mark": "bar", **chart}, "chart")


@pytest.mark.parametrize("figure", [breakdown(), growth(), operators(), grid(), panels()], ids=lambda made: made.name)
def test_charts_of_graphlab_are_read(figure: Any) -> None:
    check_chart(figure.chart, "chart")


def test_numbers_of_the_data_may_be_large() -> None:
    check_chart({"encoding": {"x": {"scale": {"domain": [0, 1e15]}}}}, "chart")
    check_chart({"encoding": {"opacity": {"condition": {"param": "pick", "value": 1}, "value": MOST + 1}}}, "chart")


def test_depth_is_limited() -> None:
    chart: dict[str, Any] = {}
    for _ in range(DEEPEST + 2):
        chart = {"spec": chart}
    with pytest.raises(ReportFileError, match="nested more than"):
        check_chart(chart, "chart")


@pytest.mark.parametrize("text", ["1" * 50_000 + "x", "datum.a" * 9_000 + "'", "'" * 50_001, "datum.a1" * 9_000 + ";"])
def test_a_long_expression_takes_no_time(text: str) -> None:
    start = time.process_time()
    with pytest.raises(ReportFileError, match="more than a comparison"):
        check_chart({"transform": [{"filter": text}]}, "chart")
    assert time.process_time() - start < 1.0
