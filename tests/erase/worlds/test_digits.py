"""The digits: their split, and what a judge is taught with."""

from __future__ import annotations

import sys

import pytest
import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.worlds.digits import DigitsWorld, digits, jittered
from graphlab.erase.worlds.known import world_of

PARTS = ("train", "calibration", "held_out")
PINNED = [6, 5, 5, 7, 9, 9, 8, 4, 6, 8, 6, 0]
"""Labels of the first training images."""


def test_the_parts_are_all_images_once() -> None:
    parts = [digits(part) for part in PARTS]
    assert [len(part.labels) for part in parts] == [1197, 250, 350]
    whole = torch.cat([part.images for part in parts])
    assert whole.shape == (1797, 1, 8, 8)
    assert (whole.min(), whole.max()) == (-1, 1)
    from sklearn.datasets import load_digits

    known = torch.from_numpy(load_digits().images).float() / 8 - 1
    assert torch.equal(whole.flatten(1).sort(0).values, known.flatten(1).sort(0).values)
    for part in parts:
        assert part.labels.flatten().bincount().min() >= 15


def test_the_split_stays() -> None:
    assert digits("train").labels[:12, 0].tolist() == PINNED
    digits.cache_clear()
    assert digits("train").labels[:12, 0].tolist() == PINNED


def test_samples_come_from_their_part() -> None:
    drawn = DigitsWorld().sample(40, torch.Generator().manual_seed(3), "held_out")
    known = digits("held_out")
    for image, label in zip(drawn.images, drawn.labels, strict=True):
        found = (known.images == image).flatten(1).all(1)
        assert label in known.labels[found]


def test_jitter_keeps_the_range_and_moves_the_digit_a_little() -> None:
    images = digits("train").images[:100]
    moved = jittered(images, torch.Generator().manual_seed(0))
    assert moved.shape == images.shape
    assert moved.min() >= -1
    assert moved.max() <= 1
    near = torch.corrcoef(torch.stack([images.flatten(), moved.flatten()]))[0, 1]
    assert 0.95 < near < 0.9999


def test_an_unknown_part_or_world_is_refused() -> None:
    with pytest.raises(EraseError, match="no part 'test'"):
        digits("test")  # type: ignore[arg-type]  # what is tested
    with pytest.raises(EraseError, match=r"no world 'faces' \(known: digits, layout\)"):
        world_of("faces")


def test_without_scikit_learn_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    digits.cache_clear()
    with pytest.raises(EraseError, match=r"pip install 'graphlab\[erase\]'"):
        digits("train")
    digits.cache_clear()
