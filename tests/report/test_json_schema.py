"""docs/json_schema.md names every key of the JSON, and no other."""

from __future__ import annotations

import re

from graphlab.facts import ROLES
from graphlab.ops.rule import CATEGORIES
from graphlab.report.data import SCHEMA
from tests.report.sample import report
from tests.report.schema_keys import DOC, keys


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
