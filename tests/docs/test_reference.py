"""Pages written from the code say what the code says."""

from __future__ import annotations

import pytest

from graphlab.cli.main import main
from tests.docs.reference import DOCS, catalogue
from tests.docs.reference.commands import commands, options
from tests.docs.reference.pages import NAMES, page
from tests.docs.reference.rewrite_examples import EXAMPLES


@pytest.mark.parametrize("name", NAMES)
def test_page_is_what_the_code_says(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == page(name), "run python -m tests.docs.reference"


@pytest.mark.parametrize("name", list(commands()))
def test_every_option_of_a_command_is_in_its_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*name.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    assert all(word in shown for word in options(commands()[name]))
    assert f"## graphlab {name}\n" in page("commands.md")


def test_every_rewrite_is_in_the_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass without its block, and one without an example, are errors that name it."""
    known = catalogue.built_in()
    assert known.keys() == EXAMPLES.keys() | {"apply-weight-mask", "decompose-fused"}
    monkeypatch.setattr(catalogue, "built_in", lambda: {**known, "fuse-nothing": known["fuse-qkv"]})
    with pytest.raises(KeyError, match=r"rewrites\.md has no block of fuse-nothing"):
        catalogue.page()
