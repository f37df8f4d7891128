"""docs/json_schema.md names every key of the JSON, and no other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from graphlab.facts import ROLES
from graphlab.ops.rule import CATEGORIES
from graphlab.report.data import SCHEMA
from tests.report.sample import report

DOC = Path(__file__).parents[2] / "docs" / "json_schema.md"

NAMED = {"bindings", "weight_bytes", "symbols", "scaling", "categories", "roles", "facts", "operators"}
"""Objects whose keys are names of the model's, not of the layout."""


def keys(value: Any, path: str = "") -> set[str]:
    """Every key as a path: "stages[].attention[].kind", "stages[].categories.*.flops"."""
    if isinstance(value, list):
        return {key for item in value for key in keys(item, f"{path}[]")}
    if not isinstance(value, dict):
        return set()
    found: set[str] = set()
    for name, item in value.items():
        inner = f"{path}.*" if path.split(".")[-1] in NAMED else f"{path}.{name}".lstrip(".")
        found |= {inner} | keys(item, inner)
    return found


def documented() -> set[str]:
    """Paths in the first column of the tables of the page."""
    return set(re.findall(r"^\| `([^`]+)` \|", DOC.read_text(), flags=re.MULTILINE))


def test_every_key_is_documented_and_every_documented_key_is_there() -> None:
    assert keys(report().to_dict()) == documented()


def test_the_page_names_the_version_the_categories_and_the_roles() -> None:
    text = DOC.read_text()
    assert f"`{SCHEMA}`" in text
    for name in (*CATEGORIES, *ROLES):
        assert f"`{name}`" in text, name
