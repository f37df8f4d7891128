"""The CNN judge: what it learns, that it differs from the other one, and its file."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.worlds.cnn_judge import FEATURES, CnnJudge, load_judge, save_judge, train_judge
from graphlab.erase.worlds.corruption import corrupted
from graphlab.erase.worlds.digits import digits
from graphlab.erase.worlds.judges import agreement, refusals
from graphlab.erase.worlds.known import world_of
from graphlab.erase.worlds.pixel_judge import pixel_judge


@functools.cache
def quick_cnn() -> CnnJudge:
    return train_judge(world_of("digits"), steps=250)


def test_it_knows_held_out_digits() -> None:
    (share,) = agreement(quick_cnn(), digits("held_out"))
    assert share.value >= 0.95
    spoilt = corrupted(world_of("digits"), 200, torch.Generator().manual_seed(11), "held_out")
    found = refusals(quick_cnn(), spoilt, 0)
    for kind in ("shuffled", "flat", "blocks"):  # it learns to refuse the others later
        assert found[kind].value > 0.85, kind


def test_the_judges_of_digits_err_apart() -> None:
    real = digits("held_out")
    wrong = [judge.labels(real.images)[:, 0] != real.labels[:, 0] for judge in (pixel_judge(), quick_cnn())]
    assert 0 < int((wrong[0] & wrong[1]).sum()) < min(int(part.sum()) for part in wrong) + 1
    assert not torch.equal(*wrong)


def test_a_cnn_judge_comes_back_from_its_file(tmp_path: Path) -> None:
    judge, path = quick_cnn(), tmp_path / "judge.safetensors"
    save_judge(judge, path)
    loaded, images = load_judge(path), digits("held_out").images
    assert loaded.doubts == judge.doubts
    assert torch.equal(loaded.labels(images), judge.labels(images))
    features = loaded.features(images)
    assert features.shape == (350, FEATURES)
    assert torch.equal(features, judge.features(images))
    save_judge(loaded, tmp_path / "again.safetensors")
    assert path.read_bytes() == (tmp_path / "again.safetensors").read_bytes()
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(EraseError, match="cannot be read"):
        load_judge(path)


def test_a_cnn_judge_is_the_same_from_one_seed() -> None:
    before = torch.get_rng_state()
    judges = [*(train_judge(world_of("digits"), seed=3, steps=80) for _ in range(2)), quick_cnn()]
    assert torch.equal(before, torch.get_rng_state())
    weights = [judge.net.body[0].weight for judge in judges]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_judge_that_has_learnt_nothing_is_refused() -> None:
    with pytest.raises(EraseError, match="tells nothing"):
        train_judge(world_of("layout"), steps=0)
