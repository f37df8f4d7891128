"""The page of every kind of report: an outline in order, names for tables and pictures, nothing fetched."""

from __future__ import annotations

import json
import re
from functools import cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from graphlab.pages.saved import saved_page
from tests.browser import Browser, Page
from tests.pages.samples import DATA
from tests.report.test_html import Element, Tree, walk


@cache
def text(name: str) -> str:
    """The page that `graphlab report` makes of a sample."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        path.write_text(json.dumps(DATA[name]()), encoding="utf-8")
        return saved_page(path)


@cache
def page(name: str) -> Element:
    return Tree(text(name)).root


@pytest.mark.parametrize("name", DATA)
def test_nothing_is_fetched_or_led_to(name: str) -> None:
    for element in walk(page(name)):
        for attribute in ("src", "href", "srcset", "data", "action", "poster", "xlink:href"):
            address = element.attributes.get(attribute)
            assert address is None or address.startswith(("#", "data:")), (element.tag, address)
        assert element.tag not in ("iframe", "object", "embed", "form", "base")
    (style,) = page(name).all("style")
    assert not re.search(r"url\(|@import", style.text)


@pytest.mark.parametrize("name", DATA)
def test_the_outline_is_in_order(name: str) -> None:
    root = page(name)
    levels = [int(element.tag[1]) for element in walk(root) if re.fullmatch("h[1-6]", element.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(element.text.strip() for element in walk(root) if re.fullmatch("h[1-6]", element.tag))
    assert root.all("html")[0].attributes["lang"] == "en"
    assert root.all("title")[0].text == root.all("h1")[0].text
    assert [len(root.all(tag)) for tag in ("header", "main")] == [1, 1]
    identifiers = [str(element.attributes["id"]) for element in walk(root) if "id" in element.attributes]
    assert len(identifiers) == len(set(identifiers))
    assert {str(link.attributes["href"])[1:] for link in root.all("a")} <= set(identifiers)


@pytest.mark.parametrize("name", DATA)
def test_tables_and_pictures_have_names(name: str) -> None:
    root = page(name)
    assert root.all("table")
    for table in root.all("table"):
        (caption,) = table.all("caption")
        assert table.children[0] is caption
        assert caption.text.strip()
        assert table.all("th")
        assert all(heading.attributes.get("scope") in ("col", "row") for heading in table.all("th"))
    for picture in root.all("img"):
        assert len(str(picture.attributes["alt"])) > 20
    for element in walk(root):
        if element.attributes.get("tabindex") == "0" or element.attributes.get("class") == "chart":
            assert element.attributes.get("aria-label")


@pytest.mark.parametrize("name", DATA)
def test_it_opens_from_the_disk_without_network(name: str, browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(text(name), encoding="utf-8")
    drawn = "document.documentElement?.dataset.drawn === 'yes'"
    ready = (
        drawn if page(name).all("script") else "document.querySelector('main') && document.readyState === 'complete'"
    )
    shown = Page(browser, path, 360, scheme="dark", until=ready)
    assert shown.problems() == []
    assert [address for address in shown.requests() if not address.startswith("data:")] == [path.as_uri()]
    assert shown.evaluate("[...document.querySelectorAll('.chart')].every((box) => box.querySelector('svg.marks'))")
    assert shown.evaluate("[...document.querySelectorAll('.picture img')].every((image) => image.naturalWidth > 0)")
    assert shown.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert shown.evaluate("[...document.querySelectorAll('caption')].every((one) => one.offsetWidth <= 1)")
