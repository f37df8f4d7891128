"""What the pages spell out: links, headings as anchors, code spans, commands with their options."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = tuple(
    path.relative_to(ROOT).as_posix() for path in (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")))
)
"""README.md, CONTRIBUTING.md, CHANGELOG.md and every page of docs/."""

_FENCE = re.compile(r"^ *```([\w-]*)\n(.*?)^ *```$", re.M | re.S)


def text(page: str) -> str:
    """The Markdown of `page`, a path from the top of the repository."""
    return (ROOT / page).read_text(encoding="utf-8")


def prose(page: str) -> str:
    """`page` without its fenced blocks."""
    return _FENCE.sub("", text(page))


def links(page: str) -> Iterator[tuple[str, str]]:
    """(path from the top of the repository, anchor or nothing) of every link of `page` that stays inside."""
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        found = (ROOT / page).parent.joinpath(path).resolve() if path else (ROOT / page).resolve()
        yield found.relative_to(ROOT.resolve()).as_posix(), anchor


def anchors(page: str) -> set[str]:
    """What a link to a heading of `page` may name, as code hosts and the site make it of the heading."""
    heads = re.findall(r"^#{1,6} (.+?)\s*$", prose(page), flags=re.M)
    found: dict[str, int] = {}
    made = set()
    for head in heads:
        slug = re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-")
        made.add(f"{slug}-{found[slug]}" if slug in found else slug)
        found[slug] = found.get(slug, 0) + 1
    return made


def spans(page: str) -> list[str]:
    """The code spans of `page` outside fenced blocks, each on one line."""
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose(page))]


def shell(page: str) -> list[str]:
    """The lines of fenced blocks for a shell, without comments, continuations joined."""
    blocks = [body for language, body in _FENCE.findall(text(page)) if language in ("", "sh")]
    lines = [line for body in blocks for line in body.replace("\\\n", " ").splitlines()]
    return [part.split(" #")[0].strip() for line in lines for part in line.split(" && ")]


def commands(page: str) -> list[list[str]]:
    """The words after `graphlab` of every command that `page` spells, in blocks and spans; brackets are taken off."""
    found = [line for line in (*shell(page), *spans(page)) if line.startswith("graphlab ")]
    return [re.sub(r"[][]|\\(?=\|)|\.\.\.", " ", line).split()[1:] for line in found]
