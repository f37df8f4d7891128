"""Weights as a file: the same bits, tied ones too, and an edit that a mask takes its entries from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from graphlab.erase.errors import EraseError
from graphlab.erase.training.loop import train
from graphlab.erase.training.weights import save_weights
from tests.erase.training.small import equal, half, state, unet_config, unet_model, unet_prompts


def test_untouched_weights_come_back_to_the_bit_and_predict_the_same(tmp_path: Path) -> None:
    made = unet_model()
    save_weights(tmp_path / "model.safetensors", made.module)
    assert equal(load_file(tmp_path / "model.safetensors"), state(made.module))
    other = unet_model(seed=1)
    other.module.load_state_dict(load_file(tmp_path / "model.safetensors"))
    x, text = torch.ones(1, 1, 8, 8), unet_prompts().empty
    level = made.schedule.levels(4)[1]
    assert torch.equal(made.denoiser.noise(x, level, text), other.denoiser.noise(x, level, text))
    assert [item.name for item in tmp_path.iterdir()] == ["model.safetensors"]


def test_trained_weights_differ_from_the_base_inside_the_mask_alone(tmp_path: Path) -> None:
    student = unet_model()
    masks, before = half(student.module), state(student.module)
    train(student, student.copied(), unet_prompts(), unet_config(), mask=masks)
    save_weights(tmp_path / "edited.safetensors", student.module)
    edited = load_file(tmp_path / "edited.safetensors")
    changed = {key: edited[key] != before[key] for key in edited}
    assert any(bool(places.any()) for places in changed.values())
    assert not any(bool((places & ~masks[key]).any()) for key, places in changed.items())


def test_tied_weights_are_written_under_both_names(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    module[1].weight = module[0].weight
    save_weights(tmp_path / "tied.safetensors", module)
    assert equal(load_file(tmp_path / "tied.safetensors"), state(module))


def test_a_path_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(EraseError, match="cannot write"):
        save_weights(tmp_path / "none" / "model.safetensors", nn.Linear(1, 1))
