"""Pages of masks and trainings: curves worked out by hand, and settings as they were."""

from __future__ import annotations

import copy
import json

import pytest

from graphlab.erase.jobs.manifests import fuse_manifest_of, saliency_manifest_of, train_manifest_of
from graphlab.pages.erase_manifest import MOST_POINTS, curve_figure, losses_figure, saliency_document, train_document
from graphlab.report.decoding import ReportFileError
from graphlab.report.html import Document
from tests.pages.samples import FUSE, SALIENCY, TRAIN


def cells(made: Document, title: str) -> dict[str, str]:
    (table,) = [table for section in made.sections for table in section.tables if table.title == title]
    return {row[0]: row[1] for row in table.rows}


def test_the_curve_is_a_share_of_all_entries() -> None:
    figure = curve_figure((6, 3), 12)
    assert [(row["maps"], row["share"]) for row in figure.rows] == [(1, 0.5), (2, 0.25)]


def test_losses_are_by_term_and_long_runs_are_means() -> None:
    few = losses_figure(({"a": 1.0, "b": 3.0}, {"a": 2.0}))
    assert [(row["iteration"], row["term"], row["loss"]) for row in few.rows] == [
        (1, "a", 1.0),
        (1, "b", 3.0),
        (2, "a", 2.0),
    ]
    many = losses_figure([{"a": float(at)} for at in range(2 * MOST_POINTS + 1)])
    assert [row["loss"] for row in many.rows][:2] == [1.0, 4.0]
    assert many.rows[-1] == {"iteration": 2 * MOST_POINTS + 1, "term": "a", "loss": 2.0 * MOST_POINTS - 0.5}
    assert "mean of 3 iterations" in many.caption
    assert losses_figure(()).rows == ()


def test_settings_are_those_that_count() -> None:
    mask = cells(saliency_document(saliency_manifest_of(json.loads(json.dumps(SALIENCY.to_dict())))), "Settings")
    assert mask["maps.seeds"] == "0"
    assert mask["prompts"] == "none"
    assert mask["method"] == mask["seeds.random"] == "-"
    assert not [name for name in mask if name.startswith("training")]
    trained = cells(train_document(train_manifest_of(json.loads(json.dumps(TRAIN.to_dict())))), "Settings")
    assert (trained["training.rate"], trained["training.on"]) == ("0.1", "yes")
    assert not [name for name in trained if name.startswith("maps")]


@pytest.mark.parametrize(("seed", "title", "said"), [(None, "Saliency", "2 maps leave"), (7, "Random", "(seed 7)")])
def test_a_random_mask_is_called_one(seed: int | None, title: str, said: str) -> None:
    data = json.loads(json.dumps(SALIENCY.to_dict()))
    data["seeds"]["random"] = seed
    made = saliency_document(saliency_manifest_of(data))
    assert made.title == f"{title} mask of digits"
    assert said in " ".join(made.sections[0].paragraphs)


@pytest.mark.parametrize(("outside", "said"), [(3, "6 entries changed outside"), (None, "There was no mask.")])
def test_a_change_outside_the_mask_is_said(outside: int | None, said: str) -> None:
    data = json.loads(json.dumps(TRAIN.to_dict()))
    for row in data["results"]["roles"]:
        row["outside"] = outside
    (weights,) = [part for part in train_document(train_manifest_of(data)).sections if part.heading == "Weights"]
    assert said in " ".join(weights.paragraphs)


def test_rows_that_do_not_go_together_are_refused() -> None:
    mask, fused = (copy.deepcopy(json.loads(json.dumps(made.to_dict()))) for made in (SALIENCY, FUSE))
    mask["results"]["roles"][0]["kept"] = 99
    with pytest.raises(ReportFileError, match="99 of 8 entries"):
        saliency_manifest_of(mask)
    fused["results"]["edits"][0]["missed"] = [0.5]
    with pytest.raises(ReportFileError, match="of 1 files, expected 2"):
        fuse_manifest_of(fused)
