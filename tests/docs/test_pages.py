"""Every page: links and anchors lead somewhere; commands, options, scripts and Python names that are spelled exist."""

from __future__ import annotations

import importlib
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from graphlab.ops import TABLE
from tests.docs.reference.commands import commands as known_commands
from tests.docs.reference.commands import options
from tests.docs.spelled import PAGES, ROOT, anchors, commands, links, prose, spans, text

KNOWN = known_commands()
EVERYWHERE = {"--help", "-h", "--debug", "--version"}
GROUPS = {name.split()[0] for name in KNOWN if " " in name}
OTHERS = re.compile(r"(python|pip|mkdocs|pytest|ruff|time|torch)\b")
"""What a span or line begins with that is about another program's options."""


@pytest.mark.parametrize("page", PAGES)
def test_links_and_anchors_lead_somewhere(page: str) -> None:
    for path, anchor in links(page):
        assert (ROOT / path).exists(), f"{page} links {path}"
        if anchor:
            assert anchor in anchors(path), f"{page} links {path}#{anchor}, which has {sorted(anchors(path))}"


@pytest.mark.parametrize("page", PAGES)
def test_commands_are_there_with_their_options(page: str) -> None:
    for words in commands(page):
        if words[0].isupper():  # graphlab COMMAND --help
            continue
        for name in _named(words):
            assert name in KNOWN or name in GROUPS or name in EVERYWHERE, f"{page} says graphlab {name}"
            allowed = options(KNOWN[name]) | EVERYWHERE if name in KNOWN else EVERYWHERE | _of_the_group(name)
            for before, word in zip(["", *words], words, strict=False):
                option = re.match(r"-(?:-[a-z][a-z-]*|[a-zA-Z])", word)
                if option and before != "--rewrite":  # whose value is -O2
                    assert option[0] in allowed, f"{page}: graphlab {name} has no {option[0]}"


def _named(words: list[str]) -> list[str]:
    """["erase train", "erase fuse"] of ["erase", "train|fuse", ...]: the commands that the words name."""
    if words[0] in GROUPS and len(words) > 1 and not words[1].startswith("-") and words[1].islower():
        return [f"{words[0]} {inner}" for inner in words[1].split("|")]
    return words[0].split("|")


def _of_the_group(group: str) -> set[str]:
    return {word for name, command in KNOWN.items() if name.split()[0] == group for word in options(command)}


@pytest.mark.parametrize("page", PAGES)
def test_every_option_named_is_one(page: str) -> None:
    """Options in running text belong to some command; those of scripts stand in the script's own span."""
    known = EVERYWHERE | {word for command in KNOWN.values() for word in options(command)}
    for span in spans(page):
        if not OTHERS.match(span):
            for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", span):
                assert option in known or f'"{option}"' in _of_scripts(page), f"{page}: {option}"


def _of_scripts(page: str) -> str:
    """The sources of the benchmarks, where `page` names one: their options are often defined beside them."""
    named = [path for path in _scripts(page) if "benchmarks" in path.parts]
    sources = sorted((ROOT / "benchmarks").rglob("*.py")) if named else []
    return "\n".join(path.read_text(encoding="utf-8") for path in sources)


def _scripts(page: str) -> list[Path]:
    found = re.findall(r"python -m ((?:benchmarks|tests)(?:\.\w+)*)", text(page))
    return [_script(name) for name in found]


def _script(name: str) -> Path:
    path = ROOT.joinpath(*name.split("."))
    return path / "__main__.py" if path.is_dir() else path.with_suffix(".py")


@pytest.mark.parametrize("page", PAGES)
def test_scripts_named_are_there(page: str) -> None:
    assert all(path.is_file() for path in _scripts(page))
    files = re.findall(r"(?<![\w/.:-])((?:benchmarks|examples|tests|graphlab|passes|cli|docs)/[\w./-]*\w)", prose(page))
    missing = [name for name in files if not (ROOT / name).exists() and not list(ROOT.glob(f"{name}*"))]
    assert missing == []


@pytest.mark.parametrize("page", PAGES)
def test_python_names_are_there(page: str) -> None:
    for span in spans(page):
        name = re.match(r"(graphlab(?:\.[A-Za-z_]\w*)+)(?=\(|$)", span)
        if name and f"{name[1]}.default" not in TABLE and name[1] not in METADATA | GROUPS_OF_PLUGINS:
            assert _resolved(name[1]) is not None, f"{page}: {name[1]}"


GROUPS_OF_PLUGINS = set(tomllib.loads(text("pyproject.toml"))["project"]["entry-points"])
METADATA = {
    f"graphlab.{key}" for key in ("source", "passes", "target", "weights", "dtype", "versions", "holds", "verification")
} | {"graphlab.verification_error"}
"""Keys of an exported model's metadata (docs/export.md)."""


def _resolved(name: str) -> Any:
    """The module or attribute `name`; None where there is none. Entry-point groups are names too."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:cut]))
        except ImportError:
            continue
        for part in parts[cut:]:
            found = getattr(found, part, None)
        return found
    return None


def test_every_page_has_its_place_on_the_site() -> None:
    """What `mkdocs build --strict` finds, too, for those who have no mkdocs."""
    placed = re.findall(r"^ +- .*: ([\w-]+\.md)$", text("mkdocs.yml").partition("\nnav:\n")[2], flags=re.M)
    written = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert written <= set(placed)
    assert len(placed) == len(set(placed))
