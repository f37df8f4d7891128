"""docs/json_schema.md names every key of the profile's JSON, and no other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from graphlab.report.profile_data import SCHEMA
from tests.measuring.test_profile_data import GROWING, report

DOC = Path(__file__).parents[2] / "docs" / "json_schema.md"
TITLE = "# The JSON of `graphlab profile --json`\n"

NAMED = {"bindings", "categories", "roles", "ops", "modules"}
"""Objects whose keys are names of the model's, not of the layout."""


def keys(value: Any, path: str = "") -> set[str]:
    """Every key as a path: "stages[].calls[].seconds", "stages[].categories.*.nodes"."""
    if isinstance(value, list):
        return {key for item in value for key in keys(item, f"{path}[]")}
    if not isinstance(value, dict):
        return set()
    found: set[str] = set()
    for name, item in value.items():
        inner = f"{path}.*" if path.split(".")[-1] in NAMED else f"{path}.{name}".lstrip(".")
        found |= {inner} | keys(item, inner)
    return found


def section() -> str:
    return DOC.read_text().split(TITLE)[1].split("\n# ")[0]


def test_every_key_is_documented_and_every_documented_key_is_there() -> None:
    documented = re.findall(r"^- `([^`]+)`:", section(), flags=re.MULTILINE)
    assert len(documented) == len(set(documented))
    assert keys(report(GROWING).to_dict()) == set(documented)


def test_the_section_names_the_version() -> None:
    assert f"`{SCHEMA}`" in section()
