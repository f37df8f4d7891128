"""Masked-out weights keep their bits under every optimizer."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from graphlab.erase.errors import EraseError
from graphlab.erase.training.checkpoint import load_checkpoint
from graphlab.erase.training.loop import CHECKPOINT, train
from graphlab.erase.training.masking import MaskGuard, masks_hash
from graphlab.masks import read_mask, write_mask
from tests.erase.training.small import PROMPTS, Student, config, half, model, same_bits, state

OPTIMIZERS = ["adam", "adamw", "sgd"]


@pytest.mark.parametrize("clip", [None, 0.1], ids=["free", "clipped"])
@pytest.mark.parametrize("decay", [None, 0.3], ids=["default", "decay"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_masked_out_weights_keep_their_bits(
    optimizer: str, decay: float | None, clip: float | None, tmp_path: Path
) -> None:
    student = model()
    masks = half(student.module)
    with torch.no_grad():
        student.module.last.bias.copy_(torch.tensor([-0.0, 1.0]))
    masks["last.bias"] = torch.tensor([False, True])
    before = state(student.module)
    settings = config(optimizer=optimizer, weight_decay=decay, clip=clip)
    train(student, student.copied(), PROMPTS, settings, mask=masks, folder=tmp_path)
    for name, after in state(student.module).items():
        same = same_bits(after, before[name])
        assert bool(same[~masks[name]].all())
        assert same[masks[name]].float().mean() < 0.1
    moments = load_checkpoint(tmp_path / CHECKPOINT).optimizer["state"]
    found = 0
    for index, mask in enumerate(masks.values()):
        for name, value in moments[index].items():
            if name != "step":
                assert not value[~mask].any()
                found += int(value[mask].abs().sum() > 0)
    assert found >= len(masks)


def test_without_restoring_decay_would_move_them() -> None:
    """What the guard is for: with cut gradients alone, AdamW moves what is masked out."""
    module = Student()
    parameters = dict(module.named_parameters())
    masks = {name: torch.zeros_like(value, dtype=torch.bool) for name, value in parameters.items()}
    guard = MaskGuard(parameters, masks)
    optimizer = torch.optim.AdamW(parameters.values(), lr=1e-2)
    before = state(module)

    def step() -> None:
        for parameter in parameters.values():
            parameter.grad = torch.ones_like(parameter)
        guard.cut_gradients()
        optimizer.step()

    step()
    assert not torch.equal(module.inside.weight, before["inside.weight"])
    guard.restore(optimizer)
    assert all(bool(same_bits(value, before[name]).all()) for name, value in state(module).items())


def test_gradients_of_nan_and_scalars_are_cut() -> None:
    one, scalar = nn.Parameter(torch.tensor([1.0, 2.0])), nn.Parameter(torch.tensor(3.0))
    masks = {"one": torch.tensor([True, False]), "scalar": torch.tensor(False)}
    guard = MaskGuard({"one": one, "scalar": scalar}, masks)
    optimizer = torch.optim.Adam([one, scalar], lr=0.1, weight_decay=0.5)
    one.grad, scalar.grad = torch.tensor([1.0, float("nan")]), torch.tensor(float("inf"))
    guard.cut_gradients()
    assert one.grad.tolist() == [1.0, 0.0]
    optimizer.step()
    guard.restore(optimizer)
    assert one[0].item() != 1.0
    assert (one[1].item(), scalar.item()) == (2.0, 3.0)
    assert optimizer.state[scalar]["exp_avg"].item() == 0
    assert optimizer.state[scalar]["step"].item() == 1


def test_what_is_masked_out_does_not_count_when_gradients_are_clipped() -> None:
    student = model()
    masks, before = half(student.module), state(student.module)
    settings = config(iterations=1, optimizer="sgd", momentum=0.0, rate=1.0, clip=1e-4)
    train(student, student.copied(), PROMPTS, settings, mask=masks)
    moved = torch.cat([(value - before[name]).flatten() for name, value in state(student.module).items()])
    assert moved.norm().item() == pytest.approx(1e-4, rel=1e-3)


def test_weights_without_a_mask_and_tensors_without_an_entry_stay() -> None:
    student = model()
    before = state(student.module)
    masks = {
        "last.weight": torch.ones(2, 16, dtype=torch.bool),
        "inside.bias": torch.zeros(16, dtype=torch.bool),
    }
    done = train(student, student.copied(), PROMPTS, config(optimizer="adamw"), mask=masks)
    assert done.trained == ("last.weight",)
    after = state(student.module)
    assert {name for name in after if not torch.equal(after[name], before[name])} == {"last.weight"}
    with pytest.raises(EraseError, match="lets none of the parameters 'regex:bias' change"):
        train(student, model(), PROMPTS, config(parameters="regex:bias"), mask=masks)


def test_a_mask_file_is_for_its_base_alone(tmp_path: Path) -> None:
    student = model()
    masks = half(student.module)
    write_mask(tmp_path / "mask.safetensors", masks, student.module.state_dict())
    read = read_mask(tmp_path / "mask.safetensors")
    before = state(student.module)
    train(student, student.copied(), PROMPTS, config(), mask=read)
    after = state(student.module)
    assert all(bool(same_bits(after[name], before[name])[~masks[name]].all()) for name in after)
    with pytest.raises(EraseError, match=r"made for another base: inside\.bias differs"):
        train(student, model(), PROMPTS, config(), mask=read)


def test_masks_that_do_not_fit_are_refused() -> None:
    student = model()
    masks = half(student.module)
    empty = {name: torch.zeros_like(mask) for name, mask in masks.items()}
    for given, match in (
        ({**masks, "last.weigth": masks["last.weight"]}, r"no parameter 'last.weigth' to mask.*last\.weight"),
        ({"last.bias": torch.ones(3, dtype=torch.bool)}, r"the mask of last\.bias is torch\.bool \(3,\)"),
        ({"last.bias": torch.ones(2)}, r"the mask of last\.bias is torch\.float32"),
        (empty, "no entry of the mask is set"),
        ({}, "no entry of the mask is set"),
    ):
        with pytest.raises(EraseError, match=match):
            train(student, model(), PROMPTS, config(), mask=given)


def test_the_hash_tells_masks_apart() -> None:
    masks = half(Student())
    flipped = {**masks, "last.bias": ~masks["last.bias"]}
    assert masks_hash(masks) == masks_hash(dict(reversed(masks.items())))
    assert masks_hash(masks) != masks_hash(flipped)
    assert masks_hash({"a": torch.ones(2, 3, dtype=torch.bool)}) != masks_hash(
        {"a": torch.ones(3, 2, dtype=torch.bool)}
    )
