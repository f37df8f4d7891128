"""What the site needs beyond its pages: the repository's other documents, list markers as code hosts read them, checks.

mkdocs calls the functions by their names. Everything is a warning that `mkdocs build --strict` turns into an error.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parent.parent
BESIDE = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md", "README.md": "index.md"}
"""{document at the top of the repository: the page of the site that stands for it}."""

log = logging.getLogger("mkdocs.plugins.graphlab")

_LINK = re.compile(r"\]\(([^)#\s]+)(#[^)\s]*)?\)")
_NAMED_LINK = re.compile(r"\[([^\]]+)\]\(([^)#\s]+)(#[^)\s]*)?\)")
_FILE_NAME = re.compile(r"\[(?:docs/)?(\w+\.md)\]\((?=(?:docs/)?\1[#)])")
_ITEM = re.compile(r"(?:[-*]|\d+\.) ")


def on_files(files: Any, config: Any) -> Any:
    """Adds the documents at the top of the repository as pages, and the files outside docs/ that pages link to."""
    for name, page in BESIDE.items():
        if page != "index.md":
            files.append(File.generated(config, page, content=_from_the_top((ROOT / name).read_text(encoding="utf-8"))))
    pages = (file for file in files.documentation_pages() if file.src_dir)
    texts = [Path(file.abs_src_path).read_text(encoding="utf-8") for file in pages]
    targets = {target for text in texts for target, _ in _LINK.findall(text) if target.startswith("../")}
    linked = {target.removeprefix("../") for target in targets}
    for uri in sorted(linked - BESIDE.keys()):
        path = ROOT / uri
        if path.is_file() and not files.get_file_from_path(uri):
            files.append(File.generated(config, uri, abs_src_path=str(path)))
    return files


def _from_the_top(text: str) -> str:
    """A document of the repository's top as a page of docs/: links into docs/ lose the folder."""
    return text.replace("](docs/", "](")


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Links that leave docs/ lead to the copies on_files made, and a link called like its file gets the page's title.

    A list after a line of text gets its blank line.
    """
    titles = dict(_titles(config.nav))
    named = _FILE_NAME.sub(lambda link: f"[{titles[link[1]]}](" if link[1] in titles else link[0], markdown)
    return _spaced(_NAMED_LINK.sub(_inside, named))


def _titles(items: list[Any]) -> Iterator[tuple[str, str]]:
    """(page, title) of a navigation."""
    for item in items:
        ((title, value),) = item.items()
        if isinstance(value, list):
            yield from _titles(value)
        else:
            yield value, title


def _inside(link: re.Match[str]) -> str:
    """A link out of docs/ as one of the site; a folder of the repository, which the site does not have, is no link."""
    name, target, anchor = link[1], link[2], link[3] or ""
    if not target.startswith("../"):
        return link[0]
    beyond = target.removeprefix("../")
    if (ROOT / beyond).is_dir():
        return name
    return f"[{name}]({BESIDE.get(beyond, beyond)}{anchor})"


def _spaced(markdown: str) -> str:
    """Python-Markdown wants a blank line before a list, CommonMark and code hosts do not."""
    lines: list[str] = []
    fence = False
    for line in markdown.splitlines():
        if line.lstrip().startswith("```"):
            fence = not fence
        before = lines[-1] if lines else ""
        starts = _ITEM.match(line) and before.strip() and not before.startswith((" ", "#"))
        if starts and not fence and not _ITEM.match(before):
            lines.append("")
        lines.append(line)
    return "\n".join(lines) + "\n"


def on_page_content(html: str, page: Any, **_: Any) -> str:
    """Warns of Markdown that reached the page as text, and of anything a page would load from another place."""
    shown = re.sub(r"<(pre|code)\b.*?</\1>", "", html, flags=re.S)
    for pattern, what in ((r"<p>\s*\|", "a table"), (r"\n[-*] \S", "a list"), (r"```", "a fenced block")):
        if re.search(pattern, shown):
            log.warning("%s: %s is shown as text", page.file.src_uri, what)
    for url in re.findall(r"<(?:img|script|link|iframe)\b[^>]*(?:src|href)=\"(https?:[^\"]*)\"", html):
        log.warning("%s: loads %s, and the site is to work offline", page.file.src_uri, url)
    return html


def on_post_build(config: Any) -> None:
    """Writes the search index as a script too: a page opened from a disk may not fetch a file."""
    folder = Path(config.site_dir) / "search"
    index = (folder / "search_index.json").read_text(encoding="utf-8")
    (folder / "search_index.js").write_text(f"var __index = {index}", encoding="utf-8")
