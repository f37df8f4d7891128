"""Every page of docs/ that is written from the code, as text."""

from __future__ import annotations

from tests.docs.reference import commands, devices, models, python_names

_PAGES = {
    "api.md": python_names.page,
    "built_in_models.md": models.page,
    "commands.md": commands.page,
    "devices.md": devices.page,
}

NAMES = tuple(_PAGES)
"""Names of the pages in docs/."""


def page(name: str) -> str:
    """What the page `name` of docs/ should hold."""
    return _PAGES[name]()
