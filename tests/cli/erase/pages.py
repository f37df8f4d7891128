"""The page of a command beside that of its manifest."""

from __future__ import annotations

from pathlib import Path

from graphlab.pages.saved import saved_page


def assert_same_page(page: Path, manifest: Path) -> None:
    """What --html wrote is what `graphlab report` makes of the manifest, and names what came out."""
    text = page.read_text(encoding="utf-8")
    assert text == saved_page(manifest)
    assert "What went in and what came out" in text
    assert "the digit" in text or "roman" in text
