"""Low-rank changes: merged where a mask allows it, gone otherwise, readable by diffusers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from graphlab.erase.errors import EraseError
from graphlab.erase.training.config import LoraConfig
from graphlab.erase.training.loop import train
from graphlab.erase.training.lora import add_lora, merge_lora, remove_lora
from tests.erase.training.small import (
    equal,
    half,
    same_bits,
    state,
    unet_config,
    unet_model,
    unet_prompts,
)

SETTINGS = unet_config(lora=LoraConfig(2, alpha=4.0), parameters="xattn", iterations=4)
KEYS = {name for name, _ in unet_model().module.named_parameters() if ".attn2.to_" in name and name.endswith("weight")}


def test_only_the_layers_that_are_meant_change_and_the_module_is_as_before() -> None:
    student = unet_model()
    before = state(student.module)
    done = train(student, unet_model(), unet_prompts(), SETTINGS)
    after = state(student.module)
    assert list(after) == list(before)
    assert {name for name in after if not torch.equal(after[name], before[name])} == KEYS
    assert len(done.trained) == 2 * len(KEYS)
    for key in KEYS:
        assert torch.linalg.matrix_rank((after[key] - before[key]).double(), rtol=1e-4) <= 2
    assert not [name for name, layer in student.module.named_modules() if "lora" in type(layer).__module__]
    assert all(parameter.requires_grad for parameter in student.module.parameters())


def test_merged_weights_are_w_plus_masked_ba_to_the_bit() -> None:
    """(B A) * M, told from the factors of the same run without a mask: masks act when merged, not before."""
    masks = half(unet_model().module)
    student, free = unet_model(), unet_model()
    with torch.no_grad():
        for key in KEYS:
            for module in (student.module, free.module):
                weight = module.get_parameter(key)
                weight[0, :4] = -0.0
            masks[key][0, :4] = torch.tensor([False, True, False, True])
    before = state(student.module)
    done = train(student, student.copied(), unet_prompts(), SETTINGS, mask=masks)
    assert done.lora is None
    factors = train(free, student_of(before), unet_prompts(), SETTINGS).lora
    assert factors is not None
    after = state(student.module)
    for name, value in after.items():
        if name not in KEYS:
            assert bool(same_bits(value, before[name]).all())
            continue
        layer = name.removesuffix(".weight")
        product = factors[f"{layer}.lora_B.weight"] @ factors[f"{layer}.lora_A.weight"]
        assert bool(same_bits(value, before[name])[~masks[name]].all())
        assert torch.allclose(value, before[name] + product * masks[name], rtol=1e-5, atol=1e-8)
        assert (value != before[name])[masks[name]].float().mean() > 0.9


def student_of(values: dict[str, torch.Tensor]) -> object:
    made = unet_model()
    made.module.load_state_dict(values)
    return made


def test_layers_whose_mask_is_empty_get_no_factors() -> None:
    student = unet_model()
    some = sorted(KEYS)[:2]
    masks = {key: torch.full_like(student.module.get_parameter(key), key in some, dtype=torch.bool) for key in KEYS}
    before = state(student.module)
    done = train(student, unet_model(), unet_prompts(), SETTINGS, mask=masks)
    assert len(done.trained) == 4
    after = state(student.module)
    assert {name for name in after if not torch.equal(after[name], before[name])} == set(some)
    bias = {"conv_in.bias": torch.ones(8, dtype=torch.bool)}
    with pytest.raises(EraseError, match="names no linear layer and no convolution that may change"):
        train(unet_model(), unet_model(), unet_prompts(), SETTINGS, mask=bias)


def test_diffusers_reads_the_factors() -> None:
    student, base = unet_model(), unet_model()
    settings = unet_config(lora=LoraConfig(2, alpha=4.0), parameters="full", iterations=2)
    done = train(student, unet_model(), unet_prompts(), settings)
    assert done.lora is not None
    base.module.load_lora_adapter(dict(done.lora), prefix=None)
    x, text = torch.ones(1, 1, 8, 8), unet_prompts().empty
    level = base.schedule.levels(4)[1]
    plain = unet_model().denoiser.noise(x, level, text)
    one, other = (each.denoiser.noise(x, level, text) for each in (student, base))
    assert torch.allclose(one, other, atol=1e-5)
    assert not torch.allclose(one, plain, atol=1e-3)


def test_before_training_the_factors_change_nothing() -> None:
    made = unet_model()
    before = state(made.module)
    x, text = torch.ones(1, 1, 8, 8), unet_prompts().empty
    level = made.schedule.levels(4)[1]
    plain = made.denoiser.noise(x, level, text)
    add_lora(made.module, "full", LoraConfig(2), None)
    assert torch.equal(made.denoiser.noise(x, level, text), plain)
    merge_lora(made.module, None)
    assert all(torch.equal(value, before[name]) for name, value in state(made.module).items())


def test_an_interrupted_run_leaves_the_base_and_resumes_to_the_same_bits(tmp_path: Path) -> None:
    class Interrupted(Exception):
        pass

    def interrupt(progress: object) -> None:
        if progress.done == 3:
            raise Interrupted

    whole, first, again = unet_model(), unet_model(), unet_model()
    train(whole, unet_model(), unet_prompts(), SETTINGS, folder=tmp_path / "whole")
    with pytest.raises(Interrupted):
        train(first, unet_model(), unet_prompts(), SETTINGS, folder=tmp_path / "cut", on_progress=interrupt)
    assert equal(state(first.module), state(again.module))
    train(again, unet_model(), unet_prompts(), SETTINGS, folder=tmp_path / "cut", resume=True)
    assert equal(state(again.module), state(whole.module))


def test_a_missing_peft_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(EraseError, match=r"pip install .graphlab\[erase\]"):
        train(unet_model(), unet_model(), unet_prompts(), SETTINGS)
    remove_lora(nn.Linear(2, 2))
