"""Parameter counts of the characterization suite against the published ones, on the meta device."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.suite_parameters import SUITE, TOLERANCE, Published, difference, published_counts, table
from graphlab.models import find_model

ROWS = published_counts()
PAGE = (Path(__file__).parents[2] / "docs" / "models.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("row", ROWS, ids=[f"{row.model}-{row.stage}".replace(" + ", "+") for row in ROWS])
def test_count_is_the_published_one_or_the_row_says_why(row: Published) -> None:
    assert row.source
    off = abs(difference(row)) > TOLERANCE
    assert off == bool(row.note), f"{100 * difference(row):+.2f} %: a note stands where, and only where, it is off"


def test_a_row_is_of_one_model_of_the_suite_and_given_once() -> None:
    names = [(row.model, row.stage) for row in ROWS]
    assert len(set(names)) == len(names)
    assert {model for model, _ in names} <= {model for models in SUITE.values() for model in models}


def test_a_row_of_a_stage_that_does_not_exist_fails() -> None:
    from graphlab.errors import UnknownNameError

    with pytest.raises(UnknownNameError):
        difference(Published("muse", "unet", 1, "nowhere", ""))
    with pytest.raises(UnknownNameError):
        difference(Published("no-such-model", "unet", 1, "nowhere", ""))


@pytest.mark.parametrize("model", [model for models in SUITE.values() for model in models])
def test_page_holds_what_the_script_prints(model: str) -> None:
    system = next(name for name, models in SUITE.items() if model in models)
    for line in table({system: (model,)}):
        assert line in PAGE


@pytest.mark.parametrize("system", SUITE)
def test_page_says_what_is_published_of_every_system(system: str) -> None:
    assert f"\n## {system}\n" in PAGE


def test_stand_ins_say_so() -> None:
    """Where no configuration is published, help or assumptions call the choice a stand-in."""
    for name in ("imagen", "muse", "muse-256", "production-image"):
        model = find_model(name)
        assert any("stand-in" in line for line in model.workload().assumptions), name
    production = find_model("production-image")
    assert "stand-in" in production.help
    assert "stand-in" in find_model("production-image-tiny").help
    assert production.workload().assumptions[0].startswith("stand-in")
