"""The site: built strictly, nothing loaded from elsewhere, searched from a disk; what is broken is an error."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.browser import Browser, Page

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(
    not (find_spec("mkdocs") and find_spec("material")), reason="pip install 'graphlab[docs]' builds the site"
)


def build(top: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """`mkdocs build --strict` of the repository's documents at `top`."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    env = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=top, capture_output=True, text=True, timeout=300, env=env)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as it is."""
    made = tmp_path_factory.mktemp("site")
    done = build(ROOT, made)
    assert done.returncode == 0, done.stderr
    return made


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of what the site is made of, of one page and the last of the navigation, to break."""
    for name in ("CHANGELOG.md", "CONTRIBUTING.md"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    (tmp_path / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "hooks.py", tmp_path / "docs")
    shutil.copytree(ROOT / "docs" / "javascripts", tmp_path / "docs" / "javascripts")
    (tmp_path / "docs" / "index.md").write_text(
        "# Home\n\n[kept](#kept) [file](../examples/own_workload.py) [all](../examples)\n\n## Kept\n"
    )
    text = (ROOT / "mkdocs.yml").read_text()
    nav = "nav:\n  - Home: index.md\n  - Contributing: contributing.md\n  - Changelog: changelog.md\n"
    (tmp_path / "mkdocs.yml").write_text(text.partition("nav:\n")[0] + nav)
    return tmp_path


def _append(page: str, text: str) -> Callable[[Path], None]:
    def edit(top: Path) -> None:
        path = top / "docs" / page
        path.write_text((path.read_text() if path.exists() else "") + text)

    return edit


def _list_in_nav(top: Path) -> None:
    path = top / "mkdocs.yml"
    path.write_text(path.read_text() + "  - Gone: gone.md\n")


BROKEN = {
    "link": (_append("index.md", "\n[x](nowhere.md)\n"), "nowhere.md"),
    "link beyond docs": (_append("index.md", "\n[x](../examples/nowhere.py)\n"), "examples/nowhere.py"),
    "anchor": (_append("index.md", "\n[x](index.md#nowhere)\n"), "#nowhere"),
    "page without a place": (_append("unlisted.md", "# Unlisted\n"), "unlisted.md"),
    "place without a page": (_list_in_nav, "gone.md"),
    "picture from elsewhere": (_append("index.md", "\n![x](https://example.org/x.png)\n"), "example.org"),
    "list as text": (_append("index.md", "\ntext\n  indented\n- a\n"), "shown as text"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_broken_is_an_error(what: str, copy: Path, tmp_path: Path) -> None:
    edit, named = BROKEN[what]
    edit(copy)
    done = build(copy, tmp_path / "site")
    assert done.returncode == 1
    assert named in done.stderr


def test_the_copy_itself_is_whole(copy: Path, tmp_path: Path) -> None:
    done = build(copy, tmp_path / "site")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "site" / "examples").iterdir()] == ["own_workload.py"]
    assert "</a> all</p>" in (tmp_path / "site" / "index.html").read_text(encoding="utf-8")


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe)\b[^>]*\bsrc=\"([^\"]*)\"", text)
        loaded += re.findall(r"<link\b(?=[^>]*rel=\"(?:stylesheet|preconnect|icon)\")[^>]*\bhref=\"([^\"]*)\"", text)
        assert loaded
        assert not [url for url in loaded if re.match(r"(?:https?:)?//", url)], page.name


def test_the_search_answers_from_a_disk(browser: Browser, site: Path) -> None:
    said = "document.querySelector('.md-search-result__meta')?.textContent ?? ''"
    page = Page(browser, f"{(site / 'index.html').as_uri()}?q=geglu", 1280, until=f"/matching documents/.test({said})")
    assert int(page.evaluate(said).split()[0]) > 1
