"""Every page of docs/ that is written from the code, as text."""

from __future__ import annotations

from functools import cache

from tests.docs.reference import catalogue, commands, devices, erasure, models, python_names

_PAGES = {
    "api.md": python_names.page,
    "built_in_models.md": models.page,
    "commands.md": commands.page,
    "devices.md": devices.page,
    catalogue.NAME: catalogue.page,
    erasure.NAME: erasure.page,
}

NAMES = tuple(_PAGES)
"""Names of the pages in docs/."""


@cache
def page(name: str) -> str:
    """What the page `name` of docs/ should hold."""
    return _PAGES[name]()
