"""Pages of reports in headless Chromium, from the disk, without network: nothing fails, everything has a key."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from graphlab.pages.analysis import analysis_document
from graphlab.pages.bench import bench_document
from graphlab.pages.pixels import result_pictures
from graphlab.pages.profile import profile_document
from graphlab.pages.rewrite import rewrite_document
from graphlab.report.html import Document, Section, to_html
from tests.browser import Browser, Page
from tests.measuring.test_profile_data import GROWING, STEADY
from tests.measuring.test_profile_data import report as profile_report
from tests.pages.test_analysis import hostile
from tests.report.sample import report
from tests.report.test_rewrite_schema import REPORT as REWRITE
from tests.timing.sample_report import EVERYTHING

REACHABLE = "a, button, summary, select, input, [tabindex='0']"
SHOWN = f'[...document.querySelectorAll("{REACHABLE}")].filter((e) => e.checkVisibility({{visibilityProperty: true}}))'
TREE = "document.querySelector('.tree')"


def document() -> Document:
    """Something of every command, names that mean harm among it."""
    analysis = analysis_document(replace(report(), stages=(report().stages[0], hostile())))
    others = (bench_document(EVERYTHING), profile_document(profile_report(STEADY, GROWING)), rewrite_document(REWRITE))
    image = Section("Image", pictures=result_pictures(torch.rand(1, 8, 8, 3), "noise"))
    return replace(analysis, sections=(*analysis.sections, *(s for d in others for s in d.sections), image))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("pages") / "report.html"
    found.write_text(to_html(document()), encoding="utf-8")
    return found


@pytest.fixture(scope="module")
def page(browser: Browser, path: Path) -> Page:
    return Page(browser, path, 1280)


def test_everything_is_drawn_without_an_error_a_warning_or_a_request(page: Page, path: Path) -> None:
    assert page.problems() == []
    assert [address for address in page.requests() if not address.startswith("data:")] == [path.as_uri()]
    assert page.evaluate("document.title") == "Analysis of toy [bold]model[/bold]"
    drawn = "[...document.querySelectorAll('.chart')].every((box) => box.querySelector('svg.marks'))"
    assert page.evaluate(drawn) is True
    assert page.evaluate("document.querySelector('.picture img').naturalWidth") == 8


def test_tab_reaches_whatever_can_be_operated(page: Page) -> None:
    page.evaluate(f"{SHOWN}.forEach((element, i) => {{ element.dataset.at = i; }})")
    count = page.evaluate(f"{SHOWN}.length")
    assert count > 60
    page.evaluate("document.activeElement.blur()")
    reached = set()
    for _ in range(2 * count):
        page.press("Tab", 9)
        at = page.evaluate("document.activeElement.dataset.at ?? null")
        if at in reached:
            break
        reached.add(at)
    wanted = set(page.evaluate(f"{SHOWN}.map((element) => element.dataset.at)"))
    missing = sorted(wanted - reached, key=int)
    names = page.evaluate(
        f"{missing}.map((at) => document.querySelector(`[data-at='${{at}}']`).outerHTML.slice(0, 90))"
    )
    assert names == []


def test_a_branch_opens_and_closes_by_key(page: Page) -> None:
    rows = f"[...{TREE}.querySelectorAll('tbody tr')].filter((row) => !row.hidden).length"
    button = f"{TREE}.querySelector('tbody button')"
    first = page.evaluate(rows)
    assert page.evaluate(f"{button}.getAttribute('aria-expanded')") == "true"
    page.evaluate(f"{button}.focus()")
    page.press("Enter", 13)
    assert page.evaluate(rows) == 1
    assert page.evaluate(f"{button}.getAttribute('aria-expanded')") == "false"
    assert page.evaluate(f"{TREE}.querySelector('.count').textContent").startswith("1 of ")
    page.press(" ", 32)
    assert page.evaluate(rows) == first
    page.evaluate(f"{TREE}.querySelector('.open-all').focus()")
    page.press("Enter", 13)
    assert page.evaluate(f"{rows} === {TREE}.querySelectorAll('tbody tr').length") is True
    page.evaluate(f"{TREE}.querySelector('.close-all').click()")
    assert page.evaluate(rows) == 1
    assert page.evaluate("document.querySelector('.tree th[scope=row] .away').textContent") == ", level 1"


def test_the_measure_of_the_modules_is_chosen_by_key(page: Page) -> None:
    labels = "[...document.querySelectorAll('#unet-modules svg.marks .role-mark path')].length"
    before = page.evaluate(labels)
    page.evaluate("document.querySelector('#unet-modules select').focus()")
    page.press("ArrowDown", 40)
    page.press("ArrowDown", 40)
    page.press("ArrowDown", 40)
    assert page.evaluate("document.querySelector('#unet-modules select').value") == "parameters"
    page.wait(f"{labels} !== {before}")
    assert page.evaluate("document.querySelector('#unet-modules .vega-bind-name').textContent").strip() == "measure"


@pytest.mark.parametrize("width", [1280, 360])
def test_nothing_sticks_out(browser: Browser, path: Path, width: int) -> None:
    narrow = Page(browser, path, width, scheme="dark")
    narrow.evaluate("document.querySelectorAll('details.data').forEach((one) => { one.open = true; })")
    assert narrow.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth") is True
    assert narrow.problems() == []


def test_nothing_moves_where_less_motion_is_asked_for(page: Page) -> None:
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    assert page.evaluate("document.getAnimations().length") == 0
    style = "getComputedStyle(document.querySelector('.csv'))"
    assert page.evaluate(f"[{style}.transitionProperty, {style}.animationName]") == ["none", "none"]


def test_a_tree_without_scripts_is_open(browser: Browser, path: Path) -> None:
    still = Page(browser, path, 1280, scripts=False, until="document.readyState === 'complete'")
    assert (
        still.evaluate("[...document.querySelectorAll('.tree tbody tr')].every((row) => row.checkVisibility())") is True
    )
    assert still.evaluate("document.querySelector('.tree .branches').checkVisibility()") is False
