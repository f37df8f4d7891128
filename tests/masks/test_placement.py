"""Placement of several masks: groups are weighted by entries, ranges name panels, the picture is a U."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel

from graphlab.cli.main import main
from graphlab.erase.worlds.base import config_of, new_base
from graphlab.erase.worlds.base_file import save_base
from graphlab.errors import GraphlabError
from graphlab.masks import write_mask
from graphlab.masks.placement import Placement, grouped, placement, tables, to_json, to_markdown, u_shape
from graphlab.program import Program
from graphlab.sources.module import capture

DOWN, UP = "down_blocks.0.attentions.0.transformer_blocks.0", "up_blocks.1.attentions.1.transformer_blocks.0"
SET = {
    f"{DOWN}.attn1.to_q.weight": 0.25, f"{DOWN}.attn2.to_k.weight": 0.5, f"{UP}.attn2.to_v.weight": 1.0,
    "mid_block.resnets.0.conv1.weight": 0.0, "down_blocks.1.resnets.0.conv1.weight": 0.125, "conv_in.weight": 0.5,
}  # fmt: skip
"""{key: density}."""


@pytest.fixture(scope="module")
def unet() -> UNet2DConditionModel:
    torch.manual_seed(0)
    made = UNet2DConditionModel(
        sample_size=8, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, cross_attention_dim=8,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        attention_head_dim=2,
    )  # fmt: skip
    return made.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def program(unet: UNet2DConditionModel) -> Program:
    given = {
        "sample": torch.zeros(2, 4, 8, 8),
        "timestep": torch.tensor(3),
        "encoder_hidden_states": torch.zeros(2, 5, 8),
    }
    return capture(unet, (), kwargs=given, dynamic=False)


def written(unet: UNet2DConditionModel, path: Path, log_snr: list[object] | None, scale: float = 1.0) -> Path:
    """A mask of SET; the mean score of a weight is its place in SET times `scale`."""
    state, masks = unet.state_dict(), {}
    for key, density in SET.items():
        bits = torch.zeros(state[key].numel(), dtype=torch.bool)
        bits[: round(density * len(bits))] = True
        masks[key] = bits.view(state[key].shape)
    scores = {key: scale * place for place, key in enumerate(SET)}
    about = {} if log_snr is None else {"log_snr": log_snr, "score": "abs_sum", "mean_scores": scores}
    write_mask(path, masks, state, about)
    return path


@pytest.fixture
def found(unet: UNet2DConditionModel, program: Program, tmp_path: Path) -> Placement:
    early = written(unet, tmp_path / "a.safetensors", ["-inf", -1.5])
    late = written(unet, tmp_path / "b.safetensors", [-1.5, "inf"], 2.0)
    return placement("a model", "unet", program.graph, [early, late])


def test_panels_are_named_by_their_range(found: Placement) -> None:
    assert found.names == ("log SNR -inf to -1.5", "log SNR -1.5 to inf")


def test_groups_count_entries(found: Placement, unet: UNet2DConditionModel) -> None:
    size = {key: unet.state_dict()[key].numel() for key in SET}
    attention = grouped(found.masks[0].rows, "attention")
    assert set(attention) == {"self, query", "cross, key", "cross, value", "no attention"}
    assert attention["cross, key"].density == 0.5
    others = [key for key in SET if "attn" not in key]
    cell = attention["no attention"]
    assert cell.entries == sum(size[key] for key in others)
    assert cell.set_entries == sum(round(SET[key] * size[key]) for key in others)
    expected = sum(list(SET).index(key) * size[key] for key in others) / cell.entries
    assert cell.score == pytest.approx(expected, rel=1e-12)
    blocks = grouped(found.masks[0].rows, "block")
    assert set(blocks) == {"down_blocks.0", "down_blocks.1", "mid_block", "up_blocks.1", "outside of the blocks"}
    assert blocks["mid_block"].density == 0
    roles = grouped(found.masks[0].rows, "role")
    assert {"attention_projection", "residual_block", "input_output"} == set(roles)
    assert grouped(found.masks[1].rows, "layer")["conv_in"].score == 10.0


def test_a_mask_without_scores_says_none(unet: UNet2DConditionModel, program: Program, tmp_path: Path) -> None:
    path = written(unet, tmp_path / "m.safetensors", None)
    found = placement("a model", "unet", program.graph, [path])
    assert found.names == ("range not said",)
    assert all(row.score is None for row in found.masks[0].rows)
    assert {row[2] for row in tables(found)[0].rows} == {"-"}


def test_tables_and_json_say_both_masks(found: Placement) -> None:
    by_attention = {row[0]: row[1:] for row in tables(found)[1].rows}
    assert by_attention["cross, value"] == ("100.0%", "2", "100.0%", "4")
    assert "log SNR" in to_markdown(found)
    said = json.loads(to_json(found))
    assert [mask["log_snr"] for mask in said["masks"]] == [["-inf", -1.5], [-1.5, "inf"]]
    assert said["masks"][1]["weights"]["conv_in.weight"]["mean_score"] == 10.0
    assert said["masks"][0]["groups"]["attention"]["self, query"]["density"] == 0.25


def test_the_picture_goes_down_and_up_again(found: Placement) -> None:
    figure = u_shape(found)
    first = [row for row in figure.rows if row["mask"] == found.names[0]]
    assert [(row["place"], row["level"]) for row in first] == [
        ("00 down 0 attention 0 self", 0), ("01 down 0 attention 0 cross", 0), ("02 down 1 resnet 0", 1),
        ("03 mid resnet 0", 1), ("04 up 1 attention 1 cross", 0),
    ]  # fmt: skip
    assert [row["density"] for row in first] == [0.25, 0.5, 0.125, 0.0, 1.0]
    drawn = figure.to_svg()
    assert drawn is not None
    assert drawn.count(">share that may change<") == 1
    assert all(name in drawn for name in found.names)


def test_what_is_no_unet_has_no_picture(tmp_path: Path) -> None:
    module = torch.nn.Linear(3, 2)
    write_mask(tmp_path / "m.safetensors", {"weight": torch.ones(2, 3, dtype=torch.bool)}, module.state_dict())
    program = capture(module.eval(), (torch.zeros(2, 3),))
    figure = u_shape(placement("a layer", "layer", program.graph, [tmp_path / "m.safetensors"]))
    assert figure.to_svg() is None
    assert figure.notes == ("no masked weight is in the down, mid or up blocks of a U-Net",)


def test_no_mask_the_same_twice_and_a_damaged_range_are_refused(
    unet: UNet2DConditionModel, program: Program, tmp_path: Path
) -> None:
    path = written(unet, tmp_path / "m.safetensors", [1.0])
    for paths in ([], [path, path]):
        with pytest.raises(GraphlabError, match="no mask is given, or one twice"):
            placement("a model", "unet", program.graph, paths)
    with pytest.raises(GraphlabError, match="expected two numbers"):
        placement("a model", "unet", program.graph, [path])


def test_the_command_writes_all_forms(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = new_base(config_of("digits"), 1)
    save_base(base, tmp_path / "base.safetensors")
    state = base.unet.state_dict()
    masks = {key: torch.ones(state[key].shape, dtype=torch.bool) for key in state if "attn2" in key}
    write_mask(tmp_path / "m.safetensors", masks, state, {"log_snr": [-4.0, 3.0]})
    outputs = [f"--{kind}={tmp_path / kind}" for kind in ("json", "markdown", "csv", "svg")]
    assert (
        main(["mask", str(tmp_path / "base.safetensors"), f"--mask={tmp_path / 'm.safetensors'}", "--static", *outputs])
        == 0
    )
    assert "By attention" in capsys.readouterr().out
    assert (tmp_path / "svg").read_text().startswith("<svg")
    assert len((tmp_path / "csv").read_text().splitlines()) == 1 + 3
    assert set(json.loads((tmp_path / "json").read_text())["masks"][0]["groups"]["attention"]) == {
        "cross, query", "cross, key", "cross, value", "cross, output",
    }  # fmt: skip
