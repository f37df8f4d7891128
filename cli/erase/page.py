"""The page of a command whose report is its manifest."""

from __future__ import annotations

from pathlib import Path


def manifest_page(manifest: Path) -> str:
    """The HTML of the `manifest` that a command wrote, as `graphlab report` makes it."""
    from graphlab.pages.saved import saved_page

    return saved_page(manifest)
