"""docs/json_schema.md names every key of the profile's JSON, and no other."""

from __future__ import annotations

import re

from graphlab.report.profile_data import SCHEMA
from tests.measuring.test_profile_data import GROWING, report
from tests.report.schema_keys import DOC, keys

TITLE = "# The JSON of `graphlab profile --json`\n"

NAMED = {"bindings", "categories", "roles", "ops", "modules"}
"""Objects whose keys are names of the model's, not of the layout."""


def section() -> str:
    return DOC.read_text().split(TITLE)[1].split("\n# ")[0]


def test_every_key_is_documented_and_every_documented_key_is_there() -> None:
    documented = re.findall(r"^- `([^`]+)`:", section(), flags=re.MULTILINE)
    assert len(documented) == len(set(documented))
    assert keys(report(GROWING).to_dict(), NAMED) == set(documented)


def test_the_section_names_the_version() -> None:
    assert f"`{SCHEMA}`" in section()
