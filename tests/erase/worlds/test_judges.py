"""Judges label real images, and abstain from what shows nothing."""

from __future__ import annotations

import sys

import pytest
import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.metrics.accuracy import ABSTAINED
from graphlab.erase.worlds.corruption import corrupted
from graphlab.erase.worlds.digits import digits
from graphlab.erase.worlds.judges import agreement, evidence, refusals, threshold
from graphlab.erase.worlds.known import world_of
from graphlab.erase.worlds.layout import LayoutWorld
from graphlab.erase.worlds.pixel_judge import pixel_judge
from graphlab.erase.worlds.template_judge import template_judge

FIELD, GLYPH = 0.133679, 0.087757
"""Residuals, root mean square, above which the decoder abstains."""


def seeded(seed: int = 11) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_corruption_spoils_what_it_says() -> None:
    layout, numbers = (corrupted(world_of(name), 30, seeded()) for name in ("layout", "digits"))
    assert [part.kind for part in layout] == ["noise", "shuffled", "blend", "no glyph", "two glyphs"]
    assert [part.kind for part in numbers] == ["noise", "shuffled", "blend", "flat", "blocks"]
    for part in layout:
        assert part.images.shape == (30, 3, 16, 16)
        spoilt = (part.labels == ABSTAINED).all(0).tolist()
        assert spoilt == ([False, False, True] if "glyph" in part.kind else [True] * 3)
    for part in numbers:
        assert (part.labels == ABSTAINED).all()
        assert torch.isfinite(part.images).all()
    flat, blocks = numbers[3].images, numbers[4].images
    assert torch.equal(flat, flat[..., :1, :1].expand_as(flat))
    assert torch.equal(blocks[..., ::4, ::4].repeat_interleave(4, -1).repeat_interleave(4, -2), blocks)
    before = world_of("digits").sample(30, seeded()).images
    assert torch.equal(numbers[1].images.flatten(1).sort(1).values, before.flatten(1).sort(1).values)


def test_a_threshold_keeps_99_percent_or_lies_half_way() -> None:
    real = torch.arange(1000) / 1000
    near = threshold(real, torch.linspace(0.5, 1.5, 1000))
    assert near.value == pytest.approx(0.98901)
    assert near.kept == 0.99
    assert near.refused == pytest.approx(0.511, abs=1e-3)
    far = threshold(real, torch.full((10,), 3.0))
    assert far.value == pytest.approx((0.98901 + 3) / 2)
    assert (far.kept, far.refused) == (1.0, 1.0)
    with pytest.raises(EraseError, match="refuses 1% of the corrupted"):
        threshold(real, real)


def test_the_decoder_is_right_on_every_combination_and_its_thresholds_are_frozen() -> None:
    judge = template_judge()
    assert (judge.field.value, judge.glyph.value) == pytest.approx((FIELD, GLYPH), rel=1e-4)
    assert judge.field.refused > 0.99
    assert judge.glyph.refused > 0.97
    for part in ("train", "held_out"):
        assert [share.value for share in agreement(judge, LayoutWorld().sample(300, seeded(), part))] == [1, 1, 1]


def test_the_decoder_abstains_from_the_whole_or_from_the_glyph() -> None:
    judge, spoilt = template_judge(), corrupted(LayoutWorld(), 100, seeded())
    for attribute in (0, 1):
        found = refusals(judge, spoilt, attribute)
        assert sorted(found) == ["blend", "noise", "shuffled"]
        assert min(share.value for share in found.values()) == 1
    glyph = refusals(judge, spoilt, 2)
    assert len(glyph) == 5
    assert glyph["no glyph"].value == 1
    assert min(share.value for share in glyph.values()) > 0.9
    bare = spoilt[3]
    assert torch.equal(judge.labels(bare.images), bare.labels)


def test_the_decoder_bears_the_noise_a_sampler_leaves() -> None:
    shown = LayoutWorld().sample(200, seeded())
    noisy = shown.images + 0.06 * torch.randn(shown.images.shape, generator=seeded(1))
    assert torch.equal(template_judge().labels(noisy), shown.labels)


def test_the_judge_of_pixels_knows_held_out_digits() -> None:
    (share,) = agreement(pixel_judge(), digits("held_out"))
    assert share.value >= 0.97
    found = refusals(pixel_judge(), corrupted(world_of("digits"), 200, seeded(), "held_out"), 0)
    for kind in ("noise", "shuffled", "flat", "blocks"):
        assert found[kind].value >= 0.95, kind
    assert found["blend"].value > 0.4  # half of two 8 x 8 digits is often taken for one of them


def test_calibration_sees_no_held_out_image() -> None:
    shown = evidence(world_of("digits"), count=100)
    near = torch.cdist(shown.real.images.flatten(1), digits("calibration").images.flatten(1)).min(1).values
    assert near.max() < 0.05 * 8 * 1.6
    assert shown.spoilt_in(0).shape == (100, 1, 8, 8)


@pytest.mark.parametrize(
    ("images", "match"),
    [
        (torch.zeros(2, 1, 8, 8), r"expected \(images, 3, 16, 16\)"),
        (torch.zeros(0, 3, 16, 16), "expected"),
        (torch.full((1, 3, 16, 16), float("nan")), "not finite"),
    ],
    ids=["shape", "none", "nan"],
)
def test_what_is_no_image_of_the_world_is_refused(images: torch.Tensor, match: str) -> None:
    with pytest.raises(EraseError, match=match):
        template_judge().labels(images)


def test_without_scikit_learn_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.svm", None)
    pixel_judge.cache_clear()
    with pytest.raises(EraseError, match=r"pip install 'graphlab\[erase\]'"):
        pixel_judge()
    pixel_judge.cache_clear()
