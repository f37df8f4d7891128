"""The source's own values, and which folder of a pipeline a stage's weights are in."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from graphlab.errors import UnknownNameError
from graphlab.loading import load
from graphlab.program import Program
from graphlab.rewriter import stage_program
from graphlab.weights import Values, WeightsError, weight_source
from tests.weights.toys import held, real, stage, stripped, with_values, workload

VAE: dict[str, Any] = {
    "block_out_channels": [8], "norm_num_groups": 4, "latent_channels": 4,
    "down_block_types": ["DownEncoderBlock2D"], "up_block_types": ["UpDecoderBlock2D"],
}  # fmt: skip
CLIP: dict[str, Any] = {
    "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 9,
    "max_position_embeddings": 7,
}  # fmt: skip


def no_weights(caught: pytest.ExceptionInfo[WeightsError], what: str) -> None:
    assert caught.value.message == f"{what} has no weights"
    assert caught.value.hint is not None
    assert "--weights PATH" in caught.value.hint
    assert "--weights random:SEED" in caught.value.hint


def test_built_in_models_have_none() -> None:
    with pytest.raises(WeightsError) as caught:
        weight_source(load("dit-xl-2-256-tiny"), "transformer")
    no_weights(caught, "dit-xl-2-256-tiny")


def test_an_unknown_stage() -> None:
    with pytest.raises(UnknownNameError, match="vae_decoder"):
        weight_source(load("dit-xl-2-256-tiny"), "vae", "random:0")


def test_a_program_without_values_has_none() -> None:
    bare = replace(stage(), program=stripped(with_values()), build=None)
    program = bare.program
    assert program is not None
    assert program.exported is not None
    program.exported.constants.clear()
    with pytest.raises(WeightsError) as caught:
        weight_source(workload(bare), "block")
    no_weights(caught, "toy")


def test_a_pt2_has_its_own(tmp_path: Path) -> None:
    live = with_values()
    torch.export.save(live.exported, tmp_path / "live.pt2")
    found = load(str(tmp_path / "live.pt2"))
    name = found.stages[0].name
    values = Values(stage_program(found, name), weight_source(found, name))
    assert set(values) == set(held(live))
    for key, value in values.items():
        assert torch.equal(value, held(live)[key]), key


def test_a_function_s_module_has_its_own() -> None:
    made: list[int] = []

    def build() -> torch.nn.Module:
        made.append(1)
        return real()

    source = weight_source(workload(replace(stage(), build=build, identity="")), "block")
    state = real().state_dict()
    for key in ("to_q.weight", "batch_norm.running_var"):
        assert torch.equal(source.read(key, state[key]), state[key])
    assert len(made) == 1
    with pytest.raises(WeightsError, match=r"to_q\.weight of toy is float32 \(8, 8\), expected float32 \(9, 8\)"):
        source.read("to_q.weight", torch.empty(9, 8))


def test_a_function_s_module_on_meta_has_none() -> None:
    with pytest.raises(WeightsError) as caught:
        weight_source(workload(replace(stage(), identity="")), "block")
    no_weights(caught, "toy")


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, torch.nn.Module]]:
    """(folder of a text encoder and an autoencoder as their libraries save them, the modules)."""
    import diffusers
    import transformers

    folder = tmp_path_factory.mktemp("pipeline")
    torch.manual_seed(0)
    parts: dict[str, Any] = {
        "text_encoder": transformers.CLIPTextModel(transformers.CLIPTextConfig(**CLIP)).eval(),
        "vae": diffusers.AutoencoderKL(**VAE).eval(),
    }
    for name, part in parts.items():
        part.save_pretrained(folder / name)
    index = {"_class_name": "StableDiffusionPipeline", "text_encoder": ["transformers", "CLIPTextModel"]}
    (folder / "model_index.json").write_text(json.dumps({**index, "vae": ["diffusers", "AutoencoderKL"]}))
    return folder, parts


@pytest.fixture(scope="module")
def captured(pipeline: tuple[Path, dict[str, torch.nn.Module]]) -> dict[str, Program]:
    """{stage: its program, captured from the folder}."""
    found = load(str(pipeline[0]))
    return {name: stage_program(found, name) for name in ("text_encoder", "vae_decoder")}


@pytest.mark.parametrize(
    ("stage_name", "part", "prefix"),
    [("text_encoder", "text_encoder", ""), ("vae_decoder", "vae", "autoencoder.")],
    ids=["text_encoder", "vae_decoder"],
)
@pytest.mark.parametrize("spec", ["own", "whole", "part"])
def test_stages_find_their_folder(
    pipeline: tuple[Path, dict[str, torch.nn.Module]],
    captured: dict[str, Program],
    stage_name: str,
    part: str,
    prefix: str,
    spec: str,
) -> None:
    folder, parts = pipeline
    found = load(str(folder))
    given = {"own": None, "whole": str(folder), "part": str(folder / part)}[spec]
    values = Values(captured[stage_name], weight_source(found, stage_name, given))
    own = {**dict(parts[part].named_buffers()), **dict(parts[part].named_parameters())}
    assert len(values) > 10
    for key, value in values.items():
        assert torch.equal(value, own[key.removeprefix(prefix)]), key


def test_a_folder_without_the_stage(pipeline: tuple[Path, dict[str, torch.nn.Module]]) -> None:
    folder, _ = pipeline
    with pytest.raises(WeightsError, match=r"has no folder for the stage transformer \(it has text_encoder, vae"):
        weight_source(load("dit-xl-2-256-tiny"), "transformer", str(folder))


def test_a_folder_of_configurations_has_none(pipeline: tuple[Path, dict[str, torch.nn.Module]], tmp_path: Path) -> None:
    folder, _ = pipeline
    for file in folder.rglob("*.json"):
        copy = tmp_path / file.relative_to(folder)
        copy.parent.mkdir(exist_ok=True)
        copy.write_text(file.read_text())
    with pytest.raises(WeightsError) as caught:
        weight_source(load(str(tmp_path)), "vae_decoder")
    no_weights(caught, str(tmp_path))


def test_old_attention_names_of_autoencoders(
    pipeline: tuple[Path, dict[str, torch.nn.Module]], captured: dict[str, Program], tmp_path: Path
) -> None:
    folder, parts = pipeline
    old = {"to_q.": "query.", "to_k.": "key.", "to_v.": "value.", "to_out.0.": "proj_attn."}
    state = parts["vae"].state_dict()
    for new, name in old.items():
        state = {key.replace(new, name): value for key, value in state.items()}
    torch.save(state, tmp_path / "vae.bin")
    found = load(str(folder))
    values = Values(captured["vae_decoder"], weight_source(found, "vae_decoder", str(tmp_path / "vae.bin")))
    assert any("to_out.0" in key for key in values)
    for key, value in values.items():
        assert torch.equal(value, parts["vae"].state_dict()[key.removeprefix("autoencoder.")]), key
