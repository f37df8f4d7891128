"""An erased model as a Program: only masked entries differ, attention fuses as before, ONNX draws the same images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks.erasure.onnx_images import TOLERANCE, compare, judge_of, merged, prompts_of
from graphlab.erase.images import Sampling, draw
from graphlab.erase.training.weights import save_weights
from graphlab.erase.worlds.base import Base, config_of, new_base
from graphlab.erase.worlds.base_file import save_base
from graphlab.loading import load
from graphlab.masks import write_mask
from graphlab.pipeline import Facts
from graphlab.program import Program
from graphlab.rewriter import chosen_passes, rewrite_program, run_pass, stage_program
from graphlab.rewriting.account import figures
from graphlab.sources.module import capture
from tests.erase.training.small import same_bits


@dataclass(frozen=True)
class Edit:
    """The files of an edit, how the pass is called with them, and what every weight is to be."""

    mask: Path
    weights: Path
    wanted: dict[str, torch.Tensor]
    masks: dict[str, torch.Tensor]

    @property
    def spec(self) -> str:
        return f"apply-weight-mask,mask={self.mask},weights={self.weights}"


def edit_of(module: nn.Module, other: nn.Module, folder: Path) -> Edit:
    """`other`, of the same kind, has every weight moved; a third of the entries of every second weight are masked."""
    generator = torch.Generator().manual_seed(5)
    state = {key: value.clone() for key, value in module.state_dict().items()}
    edited = {key: value + 0.02 * torch.randn(value.shape, generator=generator) for key, value in state.items()}
    other.load_state_dict(edited)
    masks = {key: torch.rand(state[key].shape, generator=generator) < 0.3 for key in list(state)[::2]}
    write_mask(folder / "mask.safetensors", masks, module.state_dict())
    save_weights(folder / "edited.safetensors", other)
    wanted = {
        key: torch.where(masks[key], edited[key], value) if key in masks else value for key, value in state.items()
    }
    return Edit(folder / "mask.safetensors", folder / "edited.safetensors", wanted, masks)


def saved(world: str, folder: Path) -> tuple[Base, Path]:
    base = new_base(config_of(world), 2)
    save_base(base, folder / "base.safetensors")
    return base, folder / "base.safetensors"


def check_program(program: Program, edit: Edit, attentions: int) -> None:
    """Every weight is compared; -O2 after the mask fuses the attentions it fuses without."""
    assert program.exported is not None
    before = {key: value.clone() for key, value in program.exported.state_dict.items()}
    applied = run_pass(edit.spec, program).program.exported
    assert applied is not None
    assert applied.state_dict.keys() == edit.wanted.keys() == before.keys()
    for key, value in applied.state_dict.items():
        moved = ~same_bits(value.detach(), before[key])
        assert bool(same_bits(value.detach(), edit.wanted[key]).all()), key
        assert bool((moved <= edit.masks.get(key, torch.zeros_like(moved))).all()), key
    assert any(not torch.equal(applied.state_dict[key], before[key]) for key in edit.masks)
    fused = []
    for passes in ((), (edit.spec,)):
        result = rewrite_program(program, chosen_passes(2, passes))
        graph = result.program.graph
        found = figures(Facts(graph, dict(graph.symbols)))
        assert found.attention_spelled == 0
        fused.append(found.attention_fused)
    assert fused == [attentions, attentions]


@pytest.mark.parametrize(("world", "attentions"), [("digits", 6), ("layout", 8)])
def test_a_base_in_a_program_changes_where_the_mask_says(world: str, attentions: int, tmp_path: Path) -> None:
    base, path = saved(world, tmp_path)
    edit = edit_of(base.unet, base.copy().unet, tmp_path)
    check_program(stage_program(load(path), "unet", dynamic=False), edit, attentions)


def test_a_unet_of_the_shape_of_stable_diffusion(tmp_path: Path) -> None:
    from diffusers import UNet2DConditionModel

    def made(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        unet = UNet2DConditionModel(
            sample_size=16, block_out_channels=(8, 8, 16, 16), layers_per_block=1, norm_num_groups=4,
            cross_attention_dim=12, attention_head_dim=2,
        )  # fmt: skip
        return unet.eval().requires_grad_(False)

    unet = made(0)
    given = {
        "sample": torch.zeros(2, 4, 16, 16),
        "timestep": torch.tensor(3),
        "encoder_hidden_states": torch.zeros(2, 5, 12),
    }
    program = capture(unet, (), kwargs=given, dynamic=False)
    check_program(program, edit_of(unet, made(1), tmp_path), 2 * (3 + 1 + 6))


def test_the_exported_model_draws_the_images_of_the_erased_one(tmp_path: Path) -> None:
    base, path = saved("digits", tmp_path)
    edit = edit_of(base.unet, base.copy().unet, tmp_path)
    erased = merged(base, edit.mask, edit.weights)
    assert all(bool(same_bits(value, edit.wanted[key]).all()) for key, value in erased.unet.state_dict().items())
    prompts = prompts_of(base, 3)
    assert len(set(prompts)) == 3
    found = compare(path, prompts, judge_of(base), mask=edit.mask, weights=edit.weights)
    assert found.passed
    assert 0 < found.error <= TOLERANCE
    assert found.model.attention_fused == found.model.attention_sites == 6


def test_another_model_draws_other_images(tmp_path: Path) -> None:
    """The comparison is one: without the mask the ONNX model is the base, and its images are not the erased one's."""
    base = new_base(config_of("digits"), 2)
    edit = edit_of(base.unet, base.copy().unet, tmp_path)
    text, how = base.encode(prompts_of(base, 2)), Sampling(base.world.shape, 5, 2.0, 2)
    pair = [
        draw(item.denoiser(), text, base.empty, range(2), how) for item in (base, merged(base, edit.mask, edit.weights))
    ]
    assert float((pair[0] - pair[1]).abs().max()) > TOLERANCE
