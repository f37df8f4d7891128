"""The page of an erasure: shares before and after with their intervals, drift, weights, and pictures as PNG."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
import torch
from PIL import Image

from graphlab.erase.jobs.comparison import Changed
from graphlab.erase.jobs.demo_report import DemoReport
from graphlab.erase.jobs.evaluate_pipeline import PairReport
from graphlab.erase.jobs.evaluation_report import EvaluationReport
from graphlab.erase.metrics.accuracy import Share
from graphlab.pages.erase import demo_document, evaluation_document, shares_figure
from graphlab.pages.pixels import MOST_SIDE, png, result_pictures
from graphlab.report.html import to_html
from tests.pages.samples import COMPARISON, DEMO, DRIFT, EVALUATION, PIXELS, judged


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
    report = PairReport(DRIFT, {"concept": None}, {}, (Changed("conv_in.weight", 8, 2, outside),), outside)
    weights = evaluation_document(EvaluationReport.of("a", "b", report)).sections[-1]
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


@pytest.mark.parametrize("report", [EVALUATION, COMPARISON, DEMO], ids=["base", "pipeline", "demo"])
def test_images_before_and_after_are_shown_large_and_described(report: EvaluationReport | DemoReport) -> None:
    made = demo_document(report) if isinstance(report, DemoReport) else evaluation_document(report)
    shown = [picture for section in made.sections for picture in section.pictures]
    assert len(shown) == (2 if report is COMPARISON else 1)
    for picture in shown:
        with Image.open(io.BytesIO(picture.png)) as image:
            factor = image.size[0] // PIXELS.shape[1]
            assert factor > 20
            assert image.getpixel((2 * factor, factor)) == tuple(PIXELS[1, 2].tolist())
        assert "21 x 11 pixels" in picture.alt
        assert "before" in picture.alt
    assert "of the prompts (a dog; a tree)" in shown[-1].alt or report is not COMPARISON
    assert 'alt="Grid of images' in to_html(made)


def test_the_words_of_a_picture_are_of_the_rows_it_has() -> None:
    few = replace(DEMO, before=(replace(judged(8), kept={"two": Share(3, 4)}),))
    (more, fewer) = (demo_document(made).sections[0].pictures[0].alt for made in (DEMO, few))
    assert "then a row of other classes" in more
    assert "other classes" not in fewer


def test_where_there_are_no_images_the_page_says_why() -> None:
    found = COMPARISON.found
    assert isinstance(found, PairReport)
    made = evaluation_document(EvaluationReport.of("a", "b", replace(found, pictures={}), "No vae."))
    assert made.sections[0].paragraphs == ("No vae.",)
    assert not [picture for section in made.sections for picture in section.pictures]
