"""The HTML page as text: nothing fetched, nothing breaks out, a table behind every figure, the same bytes again."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from typing import Any

import pytest

from graphlab.errors import GraphlabError
from graphlab.report.figure import Column, Figure, drawable
from graphlab.report.html import Document, Section, to_html
from graphlab.report.html.blocks import plain_table
from graphlab.report.html.cells import cell
from graphlab.report.html.document import PlainTable
from graphlab.report.html.markup import escape, slugs
from graphlab.report.html.payload import payload
from tests.report.html_document import (
    HOSTILE,
    breakdown,
    document,
    empty,
    grid,
    growth,
    operators,
    panels,
    without_chart,
)

VOID = ("meta", "link", "input", "img", "br")
SHOWN = HOSTILE.replace("\u202e", "\\u202e")
FIGURES = ("breakdown", "growth", "operators", "growth-2", "panels", "temporal", "devices")


@dataclass
class Element:
    tag: str
    attributes: dict[str, str | None]
    children: list[Element] = field(default_factory=list)
    text: str = ""

    def all(self, tag: str) -> list[Element]:
        found = [child for child in self.children if child.tag == tag]
        return found + [inner for child in self.children for inner in child.all(tag)]


class Tree(HTMLParser):
    """Elements of a page; an end tag that closes nothing, or an element left open, is an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.root = Element("", {})
        self.open = [self.root]
        self.feed(text)
        self.close()
        assert self.open == [self.root], self.open[-1].tag

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs))
        assert len(element.attributes) == len(attrs), f"{tag}: an attribute twice"
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.text += data


@pytest.fixture(scope="module")
def text() -> str:
    return to_html(document())


@pytest.fixture(scope="module")
def page(text: str) -> Element:
    return Tree(text).root


def figures(page: Element) -> dict[str, Element]:
    return {str(figure.attributes["id"]): figure for figure in page.all("figure")}


def data(figure: Element) -> dict[str, Any]:
    (block,) = [script for script in figure.all("script") if script.attributes["type"] == "application/json"]
    return dict(json.loads(block.text))


def walk(element: Element) -> list[Element]:
    return [element, *(inner for child in element.children for inner in walk(child))]


def test_nothing_is_fetched(page: Element) -> None:
    for element in walk(page):
        for name in ("src", "href", "srcset", "data", "action", "poster", "xlink:href"):
            address = element.attributes.get(name)
            assert address is None or address.startswith(("#", "data:")), (element.tag, name, address)
    (style,) = page.all("style")
    assert "url(" not in style.text
    assert "@import" not in style.text


def test_the_page_forbids_the_browser_to_fetch(page: Element) -> None:
    (policy,) = [meta for meta in page.all("meta") if meta.attributes.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in str(policy.attributes["content"]).split(";"))
    assert rules["default-src"] == "'none'"
    assert not re.search(r"https?:|\*", str(policy.attributes["content"]))


def test_every_figure_with_rows_has_its_table(page: Element) -> None:
    found = figures(page)
    assert tuple(found) == FIGURES
    for name, source in zip(FIGURES, (breakdown, growth, operators, grid, panels, empty, without_chart), strict=True):
        made = source()
        tables = found[name].all("table")
        assert len(tables) == bool(made.rows), name
        if made.rows:
            assert len(data(found[name])["rows"]) == len(made.rows)
            assert len(tables[0].all("tbody")[0].all("tr")) == min(50, len(made.rows))


def test_the_list_of_figures_leads_to_them(page: Element) -> None:
    (navigation,) = page.all("nav")
    links = [str(link.attributes["href"]) for link in navigation.all("a")]
    assert links == ["#section-1", "#section-2", *(f"#{name}" for name in FIGURES)]
    identifiers = [element.attributes["id"] for element in walk(page) if "id" in element.attributes]
    assert len(identifiers) == len(set(identifiers))


def test_captions_charts_and_still_pictures_say_what_they_show(page: Element) -> None:
    found = figures(page)
    for name, figure in found.items():
        assert figure.children[0].tag == "figcaption"
        assert figure.attributes["aria-labelledby"] == f"{name}-title"
    said = "FLOP of a step over the image side, a line a model, both axes logarithmic."
    (picture,) = found["growth"].all("img")
    assert picture.attributes["alt"] == said
    (chart,) = [element for element in found["growth"].all("div") if element.attributes.get("class") == "chart"]
    assert chart.attributes["aria-label"] == f"Chart. {said}"
    drawn = base64.b64decode(str(picture.attributes["src"]).split(",", 1)[1]).decode()
    assert drawn.startswith("<svg") and "Stable Diffusion" in drawn  # noqa: PT018


def test_hostile_names_stay_text(text: str, page: Element) -> None:
    assert text.count("<img src=x") == 0
    assert [image for image in page.all("img") if "onerror" in image.attributes] == []
    assert SHOWN in page.all("header")[0].text
    assert SHOWN in figures(page)["growth"].all("table")[0].text
    assert {row[0] for row in data(figures(page)["breakdown"])["rows"]} >= {SHOWN}
    assert "\u202e" not in text, "the mark turns around what stands after the name"
    scripts = [script for script in page.all("script") if script.attributes["type"] == "module"]
    assert len(scripts) == 2


def test_a_lone_surrogate_can_be_written() -> None:
    assert escape("a\ud800<\n") == "a\\ud800&lt;\n"
    rows = ({"model": "\ud800</script>"},)
    figure = Figure("x", "\ud800", "", (Column("model", "model"),), rows, None)
    to_html(Document("\udfff", sections=(Section("one", figures=(figure,)),))).encode()


def test_panels_and_labels_of_any_name_can_be_drawn() -> None:
    """A line separator in the name of a panel once broke the chart, a pair of surrogates that of its label."""
    name = "two\nlines\u2028 \u202e\udc80 \x07" + "\N{GRINNING FACE}" * 40
    lines = panels()
    assert lines.chart is not None
    field = lines.chart["facet"]["field"]
    chart = {**lines.chart, "facet": {**lines.chart["facet"], "sort": None}}
    hostile = replace(lines, rows=tuple({**row, field: f"{name} {row[field]}"} for row in lines.rows), chart=chart)
    drawn = hostile.to_svg()
    assert drawn is not None
    assert "two\\nlines" in drawn
    made = payload(hostile)
    place = [column["key"] for column in made["columns"]].index(field)
    assert made["chart"]["facet"]["sort"] == list(dict.fromkeys(row[place] for row in made["rows"]))
    assert not any(c in str(row[place]) for row in made["rows"] for c in "\n\u2028\udc80\x07")


def test_panels_keep_the_order_of_the_rows_on_the_page() -> None:
    lines = panels()
    assert lines.chart is not None
    field = lines.chart["facet"]["field"]
    chart = {**lines.chart, "facet": {**lines.chart["facet"], "sort": None}}
    rows = tuple(sorted(lines.rows, key=lambda row: str(row[field]), reverse=True))
    backwards = replace(lines, rows=rows, chart=chart)
    order = payload(backwards)["chart"]["facet"]["sort"]
    assert order == [drawable(name) for name in sorted({row[field] for row in lines.rows}, key=str, reverse=True)]


def test_rows_of_text_name_their_columns_for_a_phone() -> None:
    prose = PlainTable("Findings", ("verdict", 'a "claim"'), (("reproduced", "it is so"),))
    assert '<td data-column="a &quot;claim&quot;">it is so</td>' in plain_table(prose)
    numbers = PlainTable("Times", ("model", "time"), (("a", "1 s"),))
    assert "data-column" not in plain_table(numbers)
    assert "prose" not in plain_table(numbers)


def test_an_empty_figure_shows_why(page: Element) -> None:
    figure = figures(page)["temporal"]
    assert "No model of this run has temporal attention." in figure.text
    assert figure.all("table") == figure.all("script") == figure.all("noscript") == []


def test_estimates_say_so_in_their_heading(page: Element) -> None:
    headings = [heading.text for heading in figures(page)["breakdown"].all("th")]
    assert headings == ["model", "attention", "category", "time estimate", "share of baseline estimate"]


def test_only_figures_with_both_kinds_of_attention_have_the_control(page: Element) -> None:
    found = figures(page)
    assert [name for name in found if found[name].all("fieldset")] == ["breakdown"]
    assert data(found["breakdown"])["attention"] == 1
    one_kind = replace(breakdown(), rows=tuple(row for row in breakdown().rows if row["attention"] == "fused"))
    assert payload(one_kind)["attention"] is None
    assert "params" not in payload(one_kind)["chart"]


@pytest.mark.parametrize(
    ("figure", "sizing"),
    [
        (breakdown(), "child"),
        (growth(), "container"),
        (operators(), "container"),
        (grid(), "grid"),
        (panels(), "wrap"),
    ],
    ids=["rows", "lines", "scatter", "columns", "wrapped"],
)
def test_how_a_chart_follows_the_width(figure: Figure, sizing: str) -> None:
    made = payload(figure)
    assert made["sizing"] == sizing
    assert (made["chart"].get("width") == "container") == (sizing == "container")
    assert "$schema" not in made["chart"]


def test_layers_fill_the_page_and_steps_or_panels_do_not() -> None:
    base = growth()
    assert base.chart is not None
    inner = {key: base.chart[key] for key in ("mark", "encoding")}
    cases = (
        ({"layer": [inner]}, "container"),
        ({"hconcat": [inner, inner]}, "natural"),
        ({"hconcat": [inner | {"width": 200}, inner | {"width": 200}]}, "side"),
        (inner | {"width": {"step": 20}}, "natural"),
        ({"facet": {"row": {"field": "model"}}, "spec": inner}, "child"),
        ({"facet": {"field": "model"}, "columns": 2, "spec": inner}, "natural"),
    )
    for chart, sizing in cases:
        assert payload(replace(base, chart=chart))["sizing"] == sizing, chart


def test_floats_keep_seven_digits_here_and_all_in_the_csv() -> None:
    third = Figure("x", "x", "", (Column("a", "a"),), ({"a": 1 / 3}, {"a": 2**60 + 1}, {"a": -0.0}), None)
    assert payload(third)["rows"] == [[0.3333333], [2**60 + 1], [0.0]]
    assert str(1 / 3) in third.to_csv()


@pytest.mark.parametrize("value", [float("nan"), float("inf")], ids=str)
def test_a_number_that_is_not_finite_is_refused(value: float) -> None:
    figure = Figure("speed", "x", "", (Column("a", "a"),), ({"a": 1.0}, {"a": value}), None)
    with pytest.raises(GraphlabError, match=rf"figure 'speed', row 1, column 'a': {value} is not a finite number"):
        payload(figure)


def test_the_same_document_gives_the_same_bytes(text: str) -> None:
    assert to_html(document()) == text


def test_a_report_without_charts_carries_no_plotting_library() -> None:
    small = to_html(Document("Devices", sections=(Section("Devices", figures=(without_chart(),)),)))
    assert len(small) < 40_000
    assert len(Tree(small).root.all("details")) == 1
    assert "vegaEmbed=" not in small


def test_a_report_without_figures_has_no_script() -> None:
    small = Tree(to_html(Document("Nothing", ("yet",), notes=("Nothing was asked.",)))).root
    assert small.all("script") == small.all("nav") == []
    assert "Nothing was asked." in small.text


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (None, "s", "\N{EN DASH}"),
        (0.0123, "s", "12.3 ms"),
        (0.0, "s", "0 s"),
        (4.0177e-09, "s", "4.018 ns"),
        (1610612736, "B", "1.5 GiB"),
        (803273441280, "FLOP", "803.3 GFLOP"),
        (0.254527, "FLOP/B", "0.2545 FLOP/B"),
        (1.555e12, "B/s", "1.555 TB/s"),
        (0.4434, "share", "44.3 %"),
        (4096, "", "4,096"),
        (0.000012345, "", "1.234e-05"),
        (512, "px", "512 px"),
        (True, "", "yes"),
        ("linear", "s", "linear"),
    ],
    ids=str,
)
def test_cells_show_units(value: str | float | bool | None, unit: str, shown: str) -> None:
    assert cell(value, unit) == shown


def test_identifiers_are_unique_and_plain() -> None:
    assert slugs(["Time / s", "time-s", "", "time-s-2", "\u00e9<"]) == [
        "time-s",
        "time-s-2",
        "figure",
        "time-s-2-2",
        "figure-2",
    ]


def test_what_a_heading_says_is_not_said_again() -> None:
    figure = replace(breakdown(), title="unet: memory")
    other = replace(breakdown(), title="unet: time")
    page = Tree(to_html(Document("A page", sections=(Section("unet: memory", figures=(figure, other)),)))).root
    headings = {item.text: item.attributes.get("class") for item in page.all("h3")}
    assert headings == {"unet: memory": "away", "unet: time": None}
    (navigation,) = page.all("nav")
    assert [link.text for link in navigation.all("a")] == ["unet: memory", "time"]
