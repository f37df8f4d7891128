"""benchmarks/published_times.toml: every row can be run, follows from what its page says, and keeps its role."""

from __future__ import annotations

import hashlib
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import graphlab
from graphlab.hardware import PEAK_DTYPES, device_names
from graphlab.models import model_names

PATH = Path(__file__).parent.parent / "benchmarks" / "published_times.toml"
ROWS: list[dict[str, Any]] = tomllib.loads(PATH.read_text(encoding="utf-8"))["row"]
IDS = [row["id"] for row in ROWS]

TYPES = {
    "id": str,
    "role": str,
    "elsewhere": bool,
    "model": str,
    "stage": str,
    "bindings": dict,
    "device": str,
    "dtype": str,
    "runtime": str,
    "seconds": float,
    "per": str,
    "as_published": str,
    "source": str,
    "note": str,
}

FROZEN = "28a0e89f1ae7cd06c294f69f5ef9832e408113ef655c0a8346ee7d266ce6b073"
"""SHA-256 of every row's id, role and seconds. It changes where a row is added, leaves, or changes its role: then the
commit says which and why, and never moves a row between "fit" and "judge"."""


def rows(role: str) -> list[dict[str, Any]]:
    return [row for row in ROWS if row["role"] == role]


def work(row: dict[str, Any]) -> tuple[Any, ...]:
    """What was timed, and on what; two rows that agree in it time the same thing."""
    bindings = tuple(sorted(row["bindings"].items()))
    return (row["model"], row["stage"], bindings, row["device"], row["dtype"], row["runtime"])


def published_seconds(row: dict[str, Any]) -> float:
    """Seconds from the row's own words: its first number and the unit after it."""
    text = row["as_published"].replace(",", "")
    if row["id"] == "ltx-h100":
        text = text[text.index("just") :]
    found = re.search(r"(\d+(?:\.\d+)?) ?([a-zA-Z/]*)", text)
    assert found is not None
    number, unit = float(found[1]), found[2]
    if unit == "out":  # tokens that come out in a second of the whole request; prefill gives the first
        return (row["bindings"]["new_tokens"] + 1) / number
    if unit in ("iterations/s", "it/s", "tokens/s", "tokens"):
        return 1 / number
    scale = {"ms": 1e-3, "minutes": 60.0, "seconds": 1.0, "secs": 1.0, "s": 1.0, "Sec": 1.0, "FTL": 1.0, "": 1.0}
    return number * scale[unit]


def test_the_header_says_what_the_roles_mean() -> None:
    head = PATH.read_text(encoding="utf-8").split("[[row]]")[0]
    assert "FROZEN before any constant of the model was set" in head
    assert all(word in head for word in ("eager-materialized", '"fit"', '"judge"', '"unused"', "doubled batch"))


def test_ids_are_unique() -> None:
    assert len(set(IDS)) == len(IDS)


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_a_row_has_every_key_and_no_other(row: dict[str, Any]) -> None:
    assert {key: type(value) for key, value in row.items()} == TYPES
    assert row["role"] in ("fit", "judge", "unused")
    assert row["runtime"] in ("eager-materialized", "eager", "compiled")
    assert row["per"] in ("generation", "call", "step", "token")
    assert row["source"].startswith("https://")
    assert row["as_published"]
    assert row["note"] or row["role"] != "unused"


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_a_row_names_a_model_that_takes_its_bindings(row: dict[str, Any]) -> None:
    assert row["model"] in model_names()
    bound = graphlab.load(row["model"]).bind(row["bindings"])
    assert bound.active
    assert (row["stage"] == "") == (row["per"] == "generation") or row["id"].startswith("svd")
    if row["stage"]:
        assert bound.steps(bound.stage(row["stage"])) > 0


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_a_row_names_a_device_and_a_dtype(row: dict[str, Any]) -> None:
    unknown = row["role"] == "unused"
    assert row["device"] in device_names() or (unknown and row["device"] == "")
    assert row["dtype"] in PEAK_DTYPES or (unknown and row["dtype"] == "")
    assert row["dtype"] in ("float32", "float16", "bfloat16") or unknown


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_seconds_follow_from_what_the_page_says(row: dict[str, Any]) -> None:
    assert row["seconds"] > 0
    assert row["seconds"] == pytest.approx(published_seconds(row), rel=1e-4)


def test_the_fit_is_the_a100_and_no_more() -> None:
    fit = rows("fit")
    assert {row["device"] for row in fit} == {"a100-80gb"}
    assert sum(row["model"] == "stable-diffusion-v1-5" for row in fit) == 6
    assert sum(row["model"] == "stable-diffusion-xl" for row in fit) == 3
    assert sum(row["model"] == "llama-2-7b" for row in fit) == 2
    assert len(fit) == 11


def test_nothing_judged_was_fitted() -> None:
    assert not {work(row) for row in rows("fit")} & {work(row) for row in rows("judge")}


def test_the_judges_are_of_many_kinds() -> None:
    judges = rows("judge")
    assert len(judges) >= 14
    assert len({row["device"] for row in judges}) >= 7
    assert len({row["model"] for row in judges}) >= 9
    assert {row["runtime"] for row in judges} == {"eager-materialized", "eager", "compiled"}
    assert sum(row["elsewhere"] for row in judges) >= 6


@pytest.mark.parametrize("stage", ["prefill", "decode"])
def test_llama_2_7b_is_judged_in_both_stages(stage: str) -> None:
    assert any(row["model"] == "llama-2-7b" and row["stage"] == stage and row["elsewhere"] for row in rows("judge"))


def test_roles_and_times_are_frozen() -> None:
    text = "\n".join(f"{row['id']} {row['role']} {row['seconds']!r}" for row in sorted(ROWS, key=lambda row: row["id"]))
    assert hashlib.sha256(text.encode()).hexdigest() == FROZEN
