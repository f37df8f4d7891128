"""docs/json_schema.md names every key of the JSON of a mask and of a run, and no other."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.pages.samples import DATA
from tests.report.schema_keys import DOC

NAMED = (r"masks\[\]\.groups", r"masks\[\]\.groups\.\*", r"masks\[\]\.weights", "arguments", "versions")
"""Objects whose keys are names of the model's, not of the layout."""


def keys(value: Any, path: str = "") -> set[str]:
    if isinstance(value, list):
        return {key for item in value for key in keys(item, f"{path}[]")}
    if not isinstance(value, dict):
        return set()
    named = any(re.fullmatch(name, path) for name in NAMED)
    inner = [(f"{path}.*" if named else f"{path}.{name}".lstrip("."), item) for name, item in value.items()]
    return {place for place, _ in inner} | {key for place, item in inner for key in keys(item, place)}


@pytest.mark.parametrize("command", ["mask", "run"])
def test_every_key_is_documented_and_every_documented_key_is_there(command: str) -> None:
    section = DOC.read_text().split(f"# The JSON of `graphlab {command} --json`\n")[1].split("\n# ")[0]
    documented = re.findall(r"^- `([^`]+)`:", section, flags=re.MULTILINE)
    assert len(documented) == len(set(documented))
    data = json.loads(json.dumps(DATA[command]()))
    assert keys(data) == set(documented)
    assert f"`{data['schema']}`" in section
