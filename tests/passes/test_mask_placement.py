"""mask-placement: layers, roles and attentions of masked weights."""

from __future__ import annotations

from pathlib import Path

import diffusers
import pytest
import torch

from graphlab.errors import GraphlabError
from graphlab.facts import PlacedWeight
from graphlab.masks import write_mask
from graphlab.pipeline import Facts
from graphlab.plugins import find_pass
from graphlab.program import Program
from graphlab.sources.module import capture

BLOCK = "down_blocks.0.attentions.0.transformer_blocks.0"
EXPECTED = {
    f"{BLOCK}.attn1.to_q.weight": ("attention_projection", "self", "query"),
    f"{BLOCK}.attn1.to_out.0.weight": ("attention_projection", "self", "output"),
    f"{BLOCK}.attn2.to_k.weight": ("attention_projection", "cross", "key"),
    f"{BLOCK}.attn2.to_v.weight": ("attention_projection", "cross", "value"),
    f"{BLOCK}.ff.net.2.weight": ("feed_forward", None, None),
    "down_blocks.0.resnets.0.conv1.weight": ("residual_block", None, None),
    "time_embedding.linear_1.weight": ("time_embedding", None, None),
    "conv_in.weight": ("input_output", None, None),
}


@pytest.fixture(scope="module")
def unet() -> diffusers.UNet2DConditionModel:
    torch.manual_seed(0)
    made = diffusers.UNet2DConditionModel(
        sample_size=8, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, cross_attention_dim=6,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        attention_head_dim=2,
    )  # fmt: skip
    return made.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def program(unet: diffusers.UNet2DConditionModel) -> Program:
    given = {
        "sample": torch.randn(2, 4, 8, 8),
        "timestep": torch.tensor(3),
        "encoder_hidden_states": torch.randn(2, 5, 6),
    }
    return capture(unet, (), kwargs=given, dynamic=False)


def placed(program: Program, path: Path) -> dict[str, PlacedWeight]:
    facts = Facts(program.graph, dict(program.graph.symbols))
    rows = facts.of(find_pass("mask-placement")(mask=path))  # type: ignore[call-arg, arg-type]  # its own options
    return {row.key: row for row in rows}


def masks(unet: diffusers.UNet2DConditionModel) -> dict[str, torch.Tensor]:
    """The first entries of every weight: one of the first, two of the second, and so on."""
    state, made = unet.state_dict(), {}
    for count, key in enumerate(EXPECTED, start=1):
        bits = torch.zeros(state[key].numel(), dtype=torch.bool)
        bits[:count] = True
        made[key] = bits.view(state[key].shape)
    return made


def test_every_weight_is_where_it_is_used(
    unet: diffusers.UNet2DConditionModel, program: Program, tmp_path: Path
) -> None:
    write_mask(tmp_path / "m.safetensors", masks(unet), unet.state_dict())
    found = placed(program, tmp_path / "m.safetensors")
    assert {key: (row.role, row.kind, row.part) for key, row in found.items()} == EXPECTED
    for count, key in enumerate(EXPECTED, start=1):
        row = found[key]
        assert (row.entries, row.set_entries) == (unet.state_dict()[key].numel(), count)
        assert row.density == count / row.entries
        assert row.layer == key.removesuffix(".weight")


def test_a_mask_of_another_model_is_refused(
    unet: diffusers.UNet2DConditionModel, program: Program, tmp_path: Path
) -> None:
    other = {"nothing.weight": torch.ones(3)}
    write_mask(tmp_path / "o.safetensors", {"nothing.weight": torch.ones(3, dtype=torch.bool)}, other)
    with pytest.raises(GraphlabError, match=r"nothing\.weight, which the program does not hold"):
        placed(program, tmp_path / "o.safetensors")
    shaped = {"conv_in.weight": torch.ones(3)}
    write_mask(tmp_path / "s.safetensors", {"conv_in.weight": torch.ones(3, dtype=torch.bool)}, shaped)
    with pytest.raises(GraphlabError, match="the program's is"):
        placed(program, tmp_path / "s.safetensors")
