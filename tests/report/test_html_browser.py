"""The HTML page in headless Chromium, opened from the disk without network: it draws, sorts, filters and fits."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from graphlab.report.figure import Column, Figure
from graphlab.report.html import Document, Section, to_html
from graphlab.report.html.cells import cell
from graphlab.report.html.payload import rounded_rows, shown_unit
from tests.browser import Browser, Page
from tests.report.html_document import breakdown, document, growth, operators

CHARTS = ("breakdown", "growth", "operators", "growth-2", "panels")
MARKS = "document.querySelectorAll('#%s svg.marks :is(.mark-rect, .mark-line, .mark-symbol).role-mark path').length"
COLUMN = "[...document.querySelectorAll('#%s tbody tr')].map((row) => row.cells[%d].textContent)"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("html") / "a report.html"
    found.write_text(to_html(document()), encoding="utf-8")
    return found


@pytest.fixture(scope="module")
def wide(browser: Browser, path: Path) -> Page:
    return Page(browser, path, 1280)


@pytest.fixture
def fresh(browser: Browser, path: Path) -> Page:
    return Page(browser, path, 1280)


def test_every_chart_is_drawn_without_an_error_or_a_request(wide: Page, path: Path) -> None:
    assert [address for address in wide.requests() if not address.startswith("data:")] == [path.as_uri()]
    assert wide.problems() == []
    marks = {name: wide.evaluate(MARKS % name) for name in CHARTS}
    unknown = sum(row["rate"] is None for row in operators().rows)
    assert marks == {"breakdown": 70, "growth": 30, "operators": 1500 - unknown, "growth-2": 12, "panels": 30}
    assert wide.evaluate("document.title") == "Characterization of 5 models"


def test_an_error_of_the_page_is_noticed(browser: Browser, path: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.html"
    text = path.read_text(encoding="utf-8").replace('"mark":{"type":"bar"', '"mark":{"type":"no such mark"', 1)
    broken.write_text(text, encoding="utf-8")
    page = Page(browser, broken, 1280)
    assert page.problems() != []
    assert "This chart could not be drawn" in page.evaluate("document.querySelector('#breakdown .chart').textContent")
    assert page.evaluate(MARKS % "growth") == 30


def test_the_page_may_not_fetch(fresh: Page) -> None:
    fresh.evaluate("document.body.append(Object.assign(new Image(), {src: 'https://example.org/x.png'}))")
    while not any("Content Security Policy" in problem for problem in fresh.problems()):
        fresh.evaluate("new Promise((done) => setTimeout(done, 50))")


@pytest.mark.parametrize("name", ["breakdown", "growth", "operators"])
def test_script_and_python_write_the_same_cells(wide: Page, name: str) -> None:
    figure = {"breakdown": breakdown, "growth": growth, "operators": operators}[name]()
    expected = [
        [cell(value, shown_unit(column)) for value, column in zip(row, figure.columns, strict=True)]
        for row in rounded_rows(figure)[:200]
    ]
    rows = f"[...document.querySelectorAll('#{name} tbody tr')]"
    assert wide.evaluate(f"{rows}.map((row) => [...row.cells].map((cell) => cell.textContent))") == expected


def test_script_and_python_agree_at_the_edges_of_prefixes(browser: Browser, tmp_path: Path) -> None:
    seconds = (0.0, 1.96e-12, 4.0177e-09, 9.9994e-07, 9.99966e-07, 1e-06, 9.9996e-04, 0.0123, 90.0)
    counts = (0, 999, 999_949, 999_960, 2**40, 2**30 - 1, 1023, 803_273_441_280, 10**15)
    rows = tuple({"s": s, "f": n, "b": n} for s, n in zip(seconds, counts, strict=True))
    columns = (Column("s", "time", "s"), Column("f", "FLOP", "FLOP"), Column("b", "bytes", "B"))
    figure = Figure("edges", "edges", "", columns, rows, None)
    path = tmp_path / "edges.html"
    path.write_text(to_html(Document("edges", sections=(Section("edges", figures=(figure,)),))), encoding="utf-8")
    page = Page(browser, path, 1280)
    for place, column in enumerate(columns):
        expected = [cell(row[column.key], column.unit) for row in rows]
        assert page.evaluate(COLUMN % ("edges", place)) == expected
    assert cell(4.0177e-09, "s") == "4.018 ns"


def test_sorting_goes_by_the_number_not_its_text(fresh: Page) -> None:
    fresh.evaluate("document.querySelector('#breakdown details.data').open = true")
    by_value = sorted(rounded_rows(breakdown()), key=lambda row: float(row[3] or 0))
    shown = [cell(row[3], "s") for row in by_value]
    heading = "document.querySelectorAll('#breakdown th')[3]"
    fresh.evaluate(f"{heading}.querySelector('button').click()")
    assert fresh.evaluate(COLUMN % ("breakdown", 3)) == shown
    assert fresh.evaluate(f"{heading}.ariaSort") == "ascending"
    fresh.wait(f"{heading}.querySelector('button').focus() ?? document.activeElement.closest('th') === {heading}")
    fresh.press("Enter", 13)
    assert fresh.evaluate(COLUMN % ("breakdown", 3)) == shown[::-1]
    assert fresh.evaluate(f"{heading}.ariaSort") == "descending"
    fresh.press("Enter", 13)
    assert fresh.evaluate(COLUMN % ("breakdown", 3)) == [cell(row[3], "s") for row in rounded_rows(breakdown())]
    assert fresh.evaluate(f"{heading}.ariaSort") == "none"


@pytest.mark.parametrize("clicks", [1, 2])
def test_unknown_values_sort_last_either_way(fresh: Page, clicks: int) -> None:
    for _ in range(clicks):
        fresh.evaluate("document.querySelectorAll('#operators th')[2].querySelector('button').click()")
    for _ in range(7):
        fresh.evaluate("document.querySelector('#operators .more').click()")
    column = fresh.evaluate(COLUMN % ("operators", 2))
    unknown = sum(row["rate"] is None for row in operators().rows)
    assert len(column) == 1500
    assert column[-unknown:] == ["\N{EN DASH}"] * unknown
    assert "\N{EN DASH}" not in column[:-unknown]


def test_a_long_table_comes_in_parts(fresh: Page) -> None:
    count = "document.querySelectorAll('#operators tbody tr').length"
    assert fresh.evaluate(count) == 200
    fresh.evaluate("document.querySelector('#operators .more').click()")
    assert fresh.evaluate(count) == 400
    assert fresh.evaluate("document.querySelector('#operators .count').textContent") == "400 of 1,500 rows"
    assert fresh.evaluate("document.querySelector('#growth .more').hidden") is True


def test_attention_changes_chart_and_table_together(fresh: Page) -> None:
    choose = "document.querySelector('#breakdown input[value=\"%s\"]').click()"
    for kind in ("baseline", "fused"):
        fresh.evaluate(choose % kind)
        labels = "[...document.querySelectorAll('#breakdown svg.marks text')].map((text) => text.textContent)"
        other = "baseline" if kind == "fused" else "fused"
        fresh.wait(f"{MARKS % 'breakdown'} === 35 && !{labels}.includes('{other}')")
        assert kind in fresh.evaluate(labels)
        assert set(fresh.evaluate(COLUMN % ("breakdown", 1))) == {kind}
    fresh.evaluate(choose % "")
    fresh.wait(f"{MARKS % 'breakdown'} === 70")
    assert fresh.problems() == []


def test_the_filter_asks_for_every_word_and_the_csv_holds_what_is_left(fresh: Page) -> None:
    fresh.evaluate(
        """(() => {
        window.saved = [];
        URL.createObjectURL = (blob) => { window.saved.push(blob.text()); return 'data:,'; };
        HTMLAnchorElement.prototype.click = () => {};
        const field = document.querySelector('#breakdown .tools input');
        field.value = 'FUSED stable';
        field.dispatchEvent(new Event('input'));
        document.querySelector('#breakdown .csv').click();
        })()"""
    )
    assert fresh.evaluate("document.querySelector('#breakdown .count').textContent") == "7 of 70 rows"
    lines = fresh.evaluate("window.saved[0]").splitlines()
    assert lines[0] == breakdown().to_csv().splitlines()[0]
    assert len(lines) == 8
    assert lines[1].startswith("Stable Diffusion,fused,attention,0.0000357")


def test_a_legend_entry_dims_the_other_lines(fresh: Page) -> None:
    opacity = (
        "[...document.querySelectorAll('#growth svg .mark-line.role-mark path')].map((p) => p.getAttribute('opacity'))"
    )
    before = fresh.evaluate(opacity)
    fresh.evaluate("document.querySelector('#growth').scrollIntoView()")
    box = fresh.evaluate(
        "(({x, y, width, height}) => [x + width / 2, y + height / 2])"
        "([...document.querySelectorAll('#growth .role-legend-label text')][2].getBoundingClientRect())"
    )
    for kind in ("mousePressed", "mouseReleased"):
        fresh.call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)
    assert before.count("0.15") == 0
    fresh.wait(f"{opacity}.filter((value) => value === '0.15').length === 4")


def test_hovering_shows_the_values(fresh: Page) -> None:
    fresh.evaluate("document.querySelector('#breakdown').scrollIntoView()")
    x, y = fresh.evaluate(
        "(({x, y, width, height}) => [x + width / 2, y + height / 2])"
        "(document.querySelector('#breakdown .mark-rect.role-mark path').getBoundingClientRect())"
    )
    fresh.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    fresh.wait("document.querySelector('#vg-tooltip-element.visible')?.innerText.includes('category')")
    assert fresh.evaluate("document.querySelector('#vg-tooltip-element img')") is None


def test_charts_can_be_saved(fresh: Page) -> None:
    for place, kind in ((0, "blob:"), (1, "data:image/png;base64,")):
        link = f"document.querySelectorAll('#growth .vega-actions a')[{place}]"
        fresh.evaluate(f"{link}.dispatchEvent(new MouseEvent('mousedown', {{cancelable: true}}))")
        fresh.wait(f"{link}.href.startsWith('{kind}')")
        assert fresh.evaluate(f"{link}.download").startswith("growth.")
    assert fresh.evaluate("document.querySelectorAll('#growth .vega-actions a').length") == 2
    assert fresh.problems() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_screenshots_are_full_and_nothing_sticks_out(browser: Browser, path: Path, width: int, scheme: str) -> None:
    page = Page(browser, path, width, 900, scheme=scheme)
    page.evaluate("document.querySelectorAll('details.data').forEach((one) => { one.open = true; })")
    assert page.problems() == []
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth") is True
    for name in CHARTS:
        page.evaluate(f"document.getElementById('{name}').scrollIntoView()")
        with Image.open(io.BytesIO(page.screenshot())) as shot:
            assert shot.format == "PNG"
            assert shot.size == (width, 900)
            colours = shot.convert("RGB").getcolors(maxcolors=1 << 24)
            paper = shot.convert("RGB").getpixel((2, 450))
        assert len(colours) > 100, name
        assert (sum(paper) > 700) == (scheme == "light"), paper


@pytest.mark.parametrize("name", ["breakdown", "growth", "operators", "panels"])
def test_charts_keep_to_their_box_at_any_width(browser: Browser, path: Path, name: str) -> None:
    page = Page(browser, path, 1280)
    for width in (1280, 800, 360):
        page.resize(width)
        page.wait(
            f"((drawn, box) => 0.75 * box < drawn && drawn <= box)"
            f"(document.querySelector('#{name} svg.marks')?.getBoundingClientRect().width,"
            f" document.querySelector('#{name} .chart').clientWidth)"
        )


def test_panels_are_rearranged_when_the_page_gets_narrower(fresh: Page) -> None:
    places = "document.querySelectorAll('#panels svg.marks .role-scope.cell > g')"
    columns = f"new Set([...{places}].map((cell) => Math.round(cell.getBoundingClientRect().x))).size"
    assert fresh.evaluate(columns) == 3
    fresh.resize(360)
    fresh.wait(f"{columns} === 1")


def test_charts_beside_each_other_are_stacked_on_a_phone(browser: Browser, tmp_path: Path) -> None:
    lines = growth()
    assert lines.chart is not None
    inner = {"width": 200, "height": 100, **{key: lines.chart[key] for key in ("mark", "encoding")}}
    inner["encoding"] = {key: inner["encoding"][key] for key in ("x", "y")}
    figure = replace(lines, chart={"hconcat": [inner, inner]})
    path = tmp_path / "beside.html"
    path.write_text(to_html(Document("two", sections=(Section("two", figures=(figure,)),))), encoding="utf-8")
    size = "(({width, height}) => [width, height])(document.querySelector('svg.marks').getBoundingClientRect())"
    width, height = Page(browser, path, 1280).evaluate(size)
    whole = "((drawn, box) => drawn <= box)(document.querySelector('svg.marks').getBoundingClientRect().width, %s)"
    assert Page(browser, path, 620).evaluate(whole % "document.querySelector('svg.marks').parentElement.clientWidth")
    narrow, tall = Page(browser, path, 360).evaluate(size)
    assert width > 440 > 360 > narrow
    assert tall > 1.5 * height


def test_print_opens_tables_and_hides_controls(fresh: Page) -> None:
    fresh.call("Emulation.setEmulatedMedia", media="print")
    visible = "document.querySelector('%s').checkVisibility({contentVisibilityAuto: true})"
    fresh.wait(visible % "#growth tbody tr")
    for control in (".tools input", ".csv", ".attention", "nav", "#growth .chart details"):
        assert fresh.evaluate(visible % control) is False, control
    assert fresh.evaluate("getComputedStyle(document.querySelector('tbody tr')).breakInside") == "avoid"
    assert fresh.evaluate("getComputedStyle(document.querySelector('.data .scroll')).maxHeight") == "none"
    assert fresh.evaluate("document.querySelector('#growth svg.marks').getBoundingClientRect().height") > 100
    assert len(fresh.call("Page.printToPDF")["data"]) > 50_000


def test_without_scripts_pictures_and_first_rows_are_there(browser: Browser, path: Path) -> None:
    page = Page(browser, path, 1280, scripts=False, until="document.readyState === 'complete'")
    assert page.evaluate("[...document.querySelectorAll('img.still')].every((image) => image.naturalWidth > 100)")
    assert page.evaluate("document.querySelectorAll('img.still').length") == len(CHARTS)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert page.evaluate("document.querySelectorAll('#operators tbody tr').length") == 50
    assert page.evaluate("document.querySelector('#operators').innerText.includes('The first 50 of 1,500 rows.')")
    assert page.evaluate("document.querySelector('#breakdown .attention').checkVisibility()") is False


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast(browser: Browser, path: Path, scheme: str) -> None:
    page = Page(browser, path, 1280, scheme=scheme)
    ratios = page.evaluate(
        """(() => {
        const style = getComputedStyle(document.documentElement);
        const light = (name) => {
          const hex = style.getPropertyValue(name).trim().slice(1);
          const part = (i) => {
            const value = parseInt(hex.slice(2 * i, 2 * i + 2), 16) / 255;
            return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
          };
          return 0.2126 * part(0) + 0.7152 * part(1) + 0.0722 * part(2);
        };
        const paper = light('--paper');
        return ['--ink', '--quiet', '--accent'].map((name) => {
          const [low, high] = [paper, light(name)].sort((a, b) => a - b);
          return (high + 0.05) / (low + 0.05);
        });
        })()"""
    )
    assert min(ratios) >= 4.5
