"""The layout world: its images, what is held out, and when each attribute is decided."""

from __future__ import annotations

import math

import pytest
import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.worlds.layout import (
    GLYPH_CONTRAST,
    LAYOUT_CONTRAST,
    OFFSETS,
    PALETTE_CONTRAST,
    LayoutWorld,
    Templates,
    is_held_out,
    render,
    shadings,
    templates,
)
from graphlab.erase.worlds.posterior import Curve, curves, gap, of_attribute, posterior

WORLD = LayoutWorld()
MIDDLE, EVEN = OFFSETS.index((0, 0)), 1


def image(*label: int, offset: int = MIDDLE, step: int = EVEN) -> torch.Tensor:
    return render(torch.tensor([label]), torch.tensor([offset]), torch.tensor([step]))[0]


def test_every_image_is_its_own_and_lies_in_range() -> None:
    known = templates()
    assert known.images.shape == (4 * 6 * 10 * 9 * 3, 3, 16, 16)
    assert known.images.abs().max() <= 1
    assert len(torch.unique(known.images.flatten(1), dim=0)) == len(known.images)


def test_the_light_comes_from_the_side_it_is_named_after() -> None:
    left, right, above, below = shadings()
    assert left[:, :8].mean() > 0.8
    assert torch.allclose(left.flip(1), right)
    assert torch.allclose(above, left.T)
    assert torch.allclose(above.flip(0), below)
    edges = image(2, 0, 4)[:, [0, 15]].mean((0, 2))
    assert edges[0] - edges[1] == pytest.approx(2 * LAYOUT_CONTRAST, rel=1e-4)


def test_the_palette_shifts_whole_channels() -> None:
    difference = image(0, 0, 0) - image(0, 1, 0)
    assert torch.allclose(difference, difference[:, :1, :1].expand(3, 16, 16))
    assert difference[0, 0, 0] == pytest.approx(1.5 * PALETTE_CONTRAST)


def test_close_neighbours_differ_in_four_corners_and_offsets_move_the_glyph() -> None:
    ring, box = image(0, 0, 0), image(0, 0, 1)
    changed = (ring != box).all(0)
    assert changed.nonzero().tolist() == [[5, 5], [5, 9], [9, 5], [9, 9]]
    assert torch.allclose((box - ring)[:, changed], torch.tensor(GLYPH_CONTRAST))
    moved = image(0, 0, 1, offset=OFFSETS.index((1, -1)))
    marked = (moved - image(0, 0, 3)).abs().sum(0) + (moved - image(0, 0, 0)).abs().sum(0) > 1e-6
    assert marked[10, 4]


def test_the_jitter_of_one_combination_varies_and_is_drawn_from_the_generator() -> None:
    labels = torch.tensor([[1, 2, 3]]).expand(200, 3)
    made = WORLD.draw(labels, torch.Generator().manual_seed(0))
    assert len(torch.unique(made.flatten(1), dim=0)) == 27
    assert torch.equal(made, WORLD.draw(labels, torch.Generator().manual_seed(0)))


def test_a_fifth_is_held_out_and_every_pair_of_classes_is_shown() -> None:
    shown, held_out = WORLD.combinations("train"), WORLD.combinations("held_out")
    assert (len(shown), len(held_out)) == (192, 48)
    assert len(WORLD.combinations("calibration")) == 240
    for first, second, pairs in ((0, 1, 24), (0, 2, 40), (1, 2, 60)):
        assert len(torch.unique(shown[:, [first, second]], dim=0)) == pairs
    drawn = WORLD.sample(500, torch.Generator().manual_seed(0))
    assert not is_held_out(drawn.labels).any()
    assert is_held_out(WORLD.sample(50, torch.Generator().manual_seed(0), "held_out").labels).all()


@pytest.mark.parametrize("label", [(4, 0, 0), (0, -1, 0), (0, 0, 10)], ids=["layout", "palette", "glyph"])
def test_a_label_out_of_range_is_refused(label: tuple[int, int, int]) -> None:
    with pytest.raises(EraseError, match="out of the range"):
        image(*label)


def test_a_class_has_a_label_by_name() -> None:
    glyph = WORLD.attributes[2]
    assert glyph.label("saltire") == 5
    with pytest.raises(EraseError, match=r"no glyph 'heart' \(known: ring, "):
        glyph.label("heart")


def test_the_posterior_of_two_pixels_is_the_logistic_function() -> None:
    known = Templates(torch.tensor([1.0, -1.0])[:, None, None, None], torch.tensor([[0], [1]]))
    log_snr, z = -0.7, torch.tensor([[[[0.4]]]])
    signal = 1 / (1 + math.exp(-log_snr))
    wanted = 1 / (1 + math.exp(-2 * math.sqrt(signal) * 0.4 / (1 - signal)))
    share = of_attribute(posterior(z, log_snr, known), known.labels[:, 0], 2)
    assert share[0].tolist() == pytest.approx([wanted, 1 - wanted])


def test_layout_is_decided_three_nats_before_the_glyph() -> None:
    layout, palette, glyph = curves([value / 2 for value in range(-10, 6)], images=128)
    assert [curve.attribute for curve in (layout, palette, glyph)] == ["layout", "palette", "glyph"]
    for share in (0.25, 0.5, 0.75, 0.9):
        assert gap(layout, glyph, share) >= 3
        assert layout.crossing(share) < palette.crossing(share) < glyph.crossing(share)
    assert -4 < layout.crossing(0.5) < glyph.crossing(0.9) < 3
    assert layout.information[-1] > 0.999
    assert glyph.accuracy[-1] > 0.98
    assert glyph.accuracy[0] < 0.3


def test_curves_want_rising_levels_and_crossings_that_are_there() -> None:
    with pytest.raises(EraseError, match="rise"):
        curves([0.0, -1.0])
    with pytest.raises(EraseError, match="does not cross"):
        Curve("glyph", (0.0, 1.0), (0.6, 0.9), (0.0, 0.0), (1.0, 1.0)).crossing(0.5)
    assert Curve("glyph", (0.0, 1.0), (0.2, 0.6), (0.0, 0.0), (1.0, 1.0)).crossing(0.5) == pytest.approx(0.75)
