"""docs/json_schema.md names every key of the JSON of masks, runs, explanations and erasures, and no other."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.pages.samples import DATA
from tests.report.schema_keys import DOC

NAMED = (
    r"masks\[\]\.groups", r"masks\[\]\.groups\.\*", r"masks\[\]\.weights", "arguments", "versions", "bindings",
    r"evaluations\[\]\.before", r"(evaluations\[\]\.)?drift",
)  # fmt: skip
"""Objects whose keys are names of the model's, not of the layout."""

_JUDGED = r"evaluations\[\]\.before\.\*\.(acc_e|valid|replaced|acc_p|acc_p_by_class|worst|h_c|others)"
WHOLE = (
    r"explanation\.(row|attention)", "made", r"(evaluations\[\]\.)?config", "prompts", "judged", "changed", "pictures",
    r"(evaluations\[\]\.)?(after|structure)", "before", r"evaluations\[\]\.distance\.(before|after|floor)", _JUDGED,
)  # fmt: skip
"""Objects whose keys their own line tells, or that are told elsewhere."""

SECTIONS = {
    "mask": "`graphlab mask --json`",
    "run": "`graphlab run --json`",
    "explain": "`graphlab explain --json`",
    "explain-attention": "`graphlab explain --json`",
    "erase evaluate": "`graphlab erase evaluate --json` of a base",
    "erase evaluate of a pipeline": "`graphlab erase evaluate --json` of a pipeline",
    "erase demo": "`graphlab erase demo --json`",
}


def keys(value: Any, path: str = "") -> set[str]:
    if isinstance(value, list):
        return {key for item in value for key in keys(item, f"{path}[]")}
    if not isinstance(value, dict) or any(re.fullmatch(name, path) for name in WHOLE):
        return set()
    named = any(re.fullmatch(name, path) for name in NAMED)
    inner = [(f"{path}.*" if named else f"{path}.{name}".lstrip("."), item) for name, item in value.items()]
    return {place for place, _ in inner} | {key for place, item in inner for key in keys(item, place)}


def documented(sample: str) -> set[str]:
    """The keys in the section of `sample`, each once."""
    section = DOC.read_text().split(f"# The JSON of {SECTIONS[sample]}\n")[1].split("\n# ")[0]
    found = re.findall(r"^- `([^`]+)`:", section, flags=re.MULTILINE)
    assert len(found) == len(set(found))
    assert f"`{DATA[sample]()['schema']}`" in section
    return set(found)


@pytest.mark.parametrize("sample", SECTIONS)
def test_every_key_is_documented_and_every_documented_key_is_there(sample: str) -> None:
    found = keys(json.loads(json.dumps(DATA[sample]())))
    rows = {"evaluations[].drift.*", "drift.*"}  # a list by prompts, whose line is that of the object
    if sample.startswith("explain"):  # one of the two calls has operands, the other an attention
        found = {key for name in ("explain", "explain-attention") for key in keys(json.loads(json.dumps(DATA[name]())))}
    assert found - rows == documented(sample)


def test_a_call_and_an_attention_have_the_keys_they_have_in_an_analysis() -> None:
    stage, told = DATA["analyze"]()["stages"][0], DATA["explain-attention"]()["explanation"]
    assert set(told["row"]) == set(stage["nodes"][0]) - {"reads"}
    assert set(told["attention"]) == set(stage["attention"][0])
