"""The page of an erasure: shares before and after with their intervals, drift, weights, and pictures as PNG."""

from __future__ import annotations

import io

import pytest
import torch
from PIL import Image

from graphlab.erase.evaluation.result import Judged
from graphlab.erase.jobs.comparison import Changed
from graphlab.erase.jobs.evaluate_pipeline import PairReport
from graphlab.erase.metrics.accuracy import Share
from graphlab.erase.metrics.drift import DriftBin
from graphlab.pages.erase import evaluation_document, shares_figure
from graphlab.pages.pixels import MOST_SIDE, png, result_pictures


def judged(hits: int) -> Judged:
    shows, rest = {"trained": Share(hits, 8)}, {"trained": Share(8, 8)}
    return Judged("cnn", shows, rest, {"trained": {}}, {"two": Share(7, 8)}, {})


def test_shares_stand_beside_their_intervals() -> None:
    figure = shares_figure("three", [judged(8)], [judged(2)])
    rows = {row["what"]: row for row in figure.rows}
    erased = rows["shows three, trained phrases"]
    assert (erased["before_share"], erased["after_share"], erased["images"]) == (1.0, 0.25, 8)
    assert erased["after_share_low"] < 0.25 < erased["after_share_high"]
    assert rows["two, as asked for"]["after_share"] == 7 / 8


@pytest.mark.parametrize(
    ("outside", "said"), [(0, "Every change lies in the mask"), (3, "NOT all changes"), (None, "")]
)
def test_the_page_says_whether_the_mask_was_kept(outside: int | None, said: str) -> None:
    drift = {"concept": (DriftBin(-4.0, 0.0, 0.5, 8),)}
    report = PairReport(drift, {"concept": None}, {}, (Changed("conv_in.weight", 8, 2, outside),), outside)
    weights = evaluation_document(report, "a", "b").sections[-1]
    assert "".join(weights.paragraphs).startswith(said)
    assert bool(weights.paragraphs) == (outside is not None)


def test_pixels_come_back_and_large_ones_are_thinned() -> None:
    pixels = (torch.arange(4 * 5 * 3).view(4, 5, 3) * 4).to(torch.uint8)
    with Image.open(io.BytesIO(png(pixels))) as image:
        assert image.size == (5, 4)
        assert image.getpixel((1, 2)) == tuple(pixels[2, 1].tolist())
    with Image.open(io.BytesIO(png(torch.zeros(2 * MOST_SIDE, 8, 1, dtype=torch.uint8)))) as image:
        assert image.size == (4, MOST_SIDE)


def test_what_is_no_picture_gives_none() -> None:
    assert len(result_pictures(torch.rand(9, 4, 4, 3), "x")) == 4
    assert [p.title for p in result_pictures(torch.rand(1, 2, 4, 4, 1), "x")] == ["frame 1 of 2", "frame 2 of 2"]
    assert result_pictures(torch.rand(1, 4, 4, 7), "x") == ()
    assert result_pictures(torch.rand(3, 4), "x") == ()
