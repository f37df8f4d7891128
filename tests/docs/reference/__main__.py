"""Rewrites every page that is written from the code."""

from __future__ import annotations

from tests.docs.reference import DOCS
from tests.docs.reference.pages import NAMES, page

if __name__ == "__main__":
    for name in NAMES:
        (DOCS / name).write_text(page(name), encoding="utf-8")
