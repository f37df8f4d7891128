"""Training a diffusers U-Net: parts by name, gradient checkpointing, accelerate."""

from __future__ import annotations

import dataclasses
import sys

import pytest
import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.noise import FlowSchedule, Parametrisation
from graphlab.erase.training.loop import train
from graphlab.erase.training.model import module_hash
from graphlab.erase.training.parameters import select
from tests.erase.training.small import (
    PROMPTS,
    config,
    equal,
    half,
    model,
    same_bits,
    state,
    unet_config,
    unet_model,
    unet_prompts,
)


def test_names_mean_parts_of_the_network() -> None:
    unet = unet_model().module
    every = {name for name, _ in unet.named_parameters()}
    parts = {name: set(select(unet, name)) for name in ("full", "xattn", "selfattn", "noxattn", "regex:attn2.*to_[kv]")}
    assert parts["full"] == every
    cross = {name for name, module in unet.named_modules() if getattr(module, "is_cross_attention", False)}
    assert parts["xattn"] == {name for name in every if any(name.startswith(f"{part}.") for part in cross)}
    assert parts["noxattn"] == every - parts["xattn"]
    assert parts["selfattn"]
    assert not parts["selfattn"] & parts["xattn"]
    keys = parts["regex:attn2.*to_[kv]"]
    assert keys < parts["xattn"]
    assert all(name.endswith(("to_k.weight", "to_v.weight")) for name in keys)
    assert len(keys) == 2 * len(cross)


@pytest.mark.parametrize("which", ["xattn", "noxattn"])
def test_a_part_of_a_unet_is_trained(which: str) -> None:
    student = unet_model()
    before = state(student.module)
    done = train(student, student.copied(), unet_prompts(), unet_config(parameters=which))
    after = state(student.module)
    moved = {name for name in after if not torch.equal(after[name], before[name])}
    assert moved <= set(done.trained) == set(select(student.module, which))
    assert len(moved) > 0.8 * len(done.trained)


@pytest.mark.parametrize("kind", ["v_prediction", "flow"])
def test_other_parametrisations_train_too(kind: Parametrisation) -> None:
    schedule = FlowSchedule() if kind == "flow" else unet_model().schedule
    student, teacher = (dataclasses.replace(unet_model(), kind=kind, schedule=schedule) for _ in range(2))
    before = state(student.module)
    done = train(student, teacher, unet_prompts(), unet_config(iterations=3))
    assert done.history[0]["preserve"] == done.history[0]["uncond_late"] == done.history[0]["uncond_early"] == 0
    assert done.history[0]["erase"] > 0
    assert all(value > 0 for value in done.history[-1].values())
    assert not torch.equal(state(student.module)["conv_in.weight"], before["conv_in.weight"])


def test_gradient_checkpointing_changes_no_weight() -> None:
    made = []
    for switched in (False, True):
        student = unet_model()
        train(student, unet_model(), unet_prompts(), unet_config(gradient_checkpointing=switched))
        assert not student.module.is_gradient_checkpointing
        made.append(state(student.module))
    assert all(torch.allclose(made[0][name], made[1][name], rtol=0, atol=1e-6) for name in made[0])
    student = unet_model()
    student.module.enable_gradient_checkpointing()
    train(student, unet_model(), unet_prompts(), unet_config(gradient_checkpointing=True, iterations=1))
    assert student.module.is_gradient_checkpointing


def test_gradient_checkpointing_computes_again() -> None:
    """It is on while training: the blocks run twice where a gradient is needed."""
    counts = []
    for switched in (False, True):
        student = unet_model()
        count = [0]
        student.module.mid_block.resnets[1].register_forward_pre_hook(
            lambda *_, count=count: count.__setitem__(0, count[0] + 1)
        )
        train(student, unet_model(), unet_prompts(), unet_config(gradient_checkpointing=switched, iterations=1))
        counts.append(count[0])
    assert counts[0] == 4
    assert counts[1] == 8


def test_accelerate_gives_the_plain_numbers_on_a_cpu() -> None:
    made = []
    for backend in ("plain", "accelerate"):
        student = unet_model()
        settings = unet_config(backend=backend, clip=1.0, optimizer="adamw")
        train(student, unet_model(), unet_prompts(), settings, mask=half(student.module))
        made.append(state(student.module))
    assert equal(*made)


def test_mixed_precision_trains_float32_weights_under_a_mask() -> None:
    student = unet_model()
    masks, before = half(student.module), state(student.module)
    everywhere = {"boundary": float("-inf")}
    settings = unet_config(backend="accelerate", precision="bf16", optimizer="adamw", path=everywhere)
    done = train(student, unet_model(), unet_prompts(), settings, mask=masks)
    after = state(student.module)
    assert all(value.dtype == torch.float32 for value in after.values())
    assert all(bool(same_bits(after[name], before[name])[~masks[name]].all()) for name in masks)
    plain = unet_model()
    exact = train(plain, unet_model(), unet_prompts(), unet_config(optimizer="adamw", path=everywhere), mask=masks)
    assert done.history[0]["uncond_late"] == 0
    assert done.history[0]["erase"] != exact.history[0]["erase"]
    assert done.history[0]["erase"] == pytest.approx(exact.history[0]["erase"], rel=0.01)


def test_precision_needs_float32_weights_and_what_accelerate_can_do() -> None:
    with pytest.raises(EraseError, match="bf16 needs weights in float32"):
        train(model(), model(), PROMPTS, config(backend="accelerate", precision="bf16"))
    if not torch.cuda.is_available():
        with pytest.raises(EraseError, match="cannot compute in precision fp16"):
            train(unet_model(), unet_model(), unet_prompts(), unet_config(backend="accelerate", precision="fp16"))


def test_a_missing_accelerate_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(EraseError, match=r"pip install .graphlab\[erase\]"):
        train(model(), model(), PROMPTS, config(backend="accelerate"))


def test_a_copy_has_its_own_memory() -> None:
    one = unet_model()
    other = one.copied()
    assert module_hash(one.module) == module_hash(other.module)
    with torch.no_grad():
        other.module.conv_in.bias.add_(1)
    assert module_hash(one.module) != module_hash(other.module)
    x, text = torch.ones(1, 1, 8, 8), unet_prompts().empty
    level = one.schedule.levels(4)[0]
    assert not torch.equal(one.denoiser.noise(x, level, text), other.denoiser.noise(x, level, text))
