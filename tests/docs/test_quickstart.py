"""docs/quickstart.md: every command runs, in order, and prints what the page shows; its module is the one analysed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from graphlab.cli.main import main

PAGE = Path(__file__).parents[2] / "docs" / "quickstart.md"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.M | re.S)


def runs() -> list[tuple[list[str], str]]:
    """(commands of a block, the output shown after it, of all of them) in the order of the page."""
    found: list[tuple[list[str], str]] = []
    for language, text in BLOCKS:
        if language == "sh":
            found.append((text.splitlines(), ""))
        elif language == "text":
            found[-1] = found[-1][0], text
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with mine.py in it, where the commands run."""
    made = tmp_path_factory.mktemp("quickstart")
    ((_, code),) = [block for block in BLOCKS if block[0] == "python"]
    (made / "mine.py").write_text(code, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        yield made


@pytest.mark.parametrize("index", range(len(runs())))
def test_commands_print_what_is_shown(index: int, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commands, shown = runs()[index]
    for command in commands:
        assert main(shlex.split(command)[1:]) == 0, capsys.readouterr().err
    printed = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert printed
    at = 0
    for line in shown.splitlines():
        wanted = " ".join(line.split())
        if wanted == "...":
            continue
        start = wanted.removesuffix(" ...")
        at = next((place for place in range(at, len(printed)) if printed[place].startswith(start)), -1)
        assert at >= 0, f"{command} does not print {wanted!r} there"


def test_the_page_shows_what_it_is_for() -> None:
    assert {line.split()[1] for block, _ in runs() for line in block} >= {
        "analyze", "explain", "characterize", "profile", "rewrite", "export",
    }  # fmt: skip
    assert sum(bool(shown) for _, shown in runs()) >= 5
