"""Where models go in a folder and what they are called: the names Optimum's pipelines ask for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from graphlab.loading import load
from graphlab.onnx_pipeline.known import known_pipeline
from graphlab.onnx_pipeline.layout import PipelineLayout, pipeline_layout
from graphlab.onnx_pipeline.writing import write_pipeline
from graphlab.weights.source import weight_source
from graphlab.workload import TensorInput
from tests.onnx_pipeline.pipelines import CLIP, UNET, VAE, stable_diffusion

HIDDEN = tuple(f"hidden_states.{index}" for index in range(3))
CLIP_NAMES = ("text_encoder", {"input_ids": "input_ids"}, ("last_hidden_state", "pooler_output"))
DECODER = ("vae_decoder", {"latent": "latent_sample"}, ("sample",))


def same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


EXPECTED = {
    "stable-diffusion-v1-5-tiny": (
        CLIP_NAMES,
        ("unet", same("sample", "timestep", "encoder_hidden_states"), ("out_sample",)),
        DECODER,
    ),
    "stable-diffusion-xl-tiny": (
        (*CLIP_NAMES[:2], (*CLIP_NAMES[2], *HIDDEN)),
        ("text_encoder_2", same("input_ids"), ("text_embeds", "last_hidden_state", *HIDDEN)),
        (
            "unet",
            same("sample", "timestep", "encoder_hidden_states")
            | {"added_cond_kwargs_text_embeds": "text_embeds", "added_cond_kwargs_time_ids": "time_ids"},
            ("out_sample",),
        ),
        DECODER,
    ),
    "stable-diffusion-3-medium-tiny": (
        ("text_encoder", same("input_ids"), ("text_embeds", "last_hidden_state", *HIDDEN)),
        ("text_encoder_2", same("input_ids"), ("text_embeds", "last_hidden_state", *HIDDEN)),
        ("text_encoder_3", same("input_ids"), ("last_hidden_state",)),
        (
            "transformer",
            same("hidden_states", "encoder_hidden_states", "pooled_projections", "timestep"),
            ("out_hidden_states",),
        ),
        DECODER,
    ),
    "flux-1-dev-tiny": (
        CLIP_NAMES,
        ("text_encoder_2", same("input_ids"), ("last_hidden_state",)),
        (
            "transformer",
            same(
                "hidden_states", "encoder_hidden_states", "pooled_projections", "timestep", "img_ids", "txt_ids",
                "guidance",
            ),
            ("out_hidden_states",),
        ),
        DECODER,
    ),
}  # fmt: skip


def layout_of(source: str | Path) -> PipelineLayout:
    return pipeline_layout(load(str(source)))


@pytest.mark.parametrize("model", EXPECTED)
def test_names_are_those_optimum_asks_for(model: str) -> None:
    layout = layout_of(model)
    found = tuple((item.subfolder, dict(item.naming.inputs), tuple(item.naming.outputs)) for item in layout.stages)
    assert found == EXPECTED[model]
    assert all(item.file == f"{item.subfolder}/model.onnx" for item in layout.stages)


def test_axes_are_called_after_what_they_are() -> None:
    layout = layout_of("stable-diffusion-v1-5-tiny")
    axes = layout.stage("unet").naming.axes
    assert {axes[f"sample.d{index}"] for index in (0, 2, 3)} == {"batch_size", "height", "width"}
    assert axes["encoder_hidden_states.d1"] == "sequence_length"
    decoder = layout.stage("vae_decoder").naming.axes
    assert (decoder["latent.d2"], decoder["latent.d3"]) == ("latent_height", "latent_width")
    packed = layout_of("flux-1-dev-tiny").stage("transformer").naming.axes
    assert packed["hidden_states.d1"] == packed["img_ids.d0"] == "packed_height_width"


def test_a_timestep_is_float32() -> None:
    """Euler's timesteps have fractions, which an integer input would cut off."""
    for model, stage in (("stable-diffusion-v1-5-tiny", "unet"), ("dit-xl-2-256-tiny", "transformer")):
        before = load(model).stage(stage).inputs["timestep"]
        after = layout_of(model).workload.stage(stage).inputs["timestep"]
        assert isinstance(before, TensorInput)
        assert isinstance(after, TensorInput)
        assert (before.dtype, after.dtype) == ("int64", "float32")
        assert after.shape == before.shape


def test_configurations_have_the_defaults_of_their_class() -> None:
    layout = layout_of("stable-diffusion-xl-tiny")
    unet, decoder = layout.stage("unet").config, layout.stage("vae_decoder").config
    encoder = layout.stage("text_encoder").config
    assert unet is not None
    assert decoder is not None
    assert encoder is not None
    assert (unet["_class_name"], unet["time_cond_proj_dim"], unet["in_channels"]) == ("UNet2DConditionModel", None, 4)
    assert decoder["scaling_factor"] == 0.13025
    assert (encoder["architectures"], encoder["num_hidden_layers"]) == (["CLIPTextModel"], 2)
    assert not any(key.startswith("_graphlab") for key in unet)


def test_a_folder_gets_its_source_s_scheduler_and_tokenizer(tmp_path: Path) -> None:
    stable_diffusion(tmp_path)
    layout = layout_of(tmp_path / "source")
    written = write_pipeline(layout, tmp_path / "out")
    assert set(written) >= {"model_index.json", "scheduler/scheduler_config.json", "tokenizer/vocab.json"}
    assert not [name for name in written if name.endswith((".safetensors", ".bin"))]
    index = json.loads((tmp_path / "out" / "model_index.json").read_text())
    assert index["_class_name"] == "StableDiffusionPipeline"
    assert index["unet"] == ["diffusers", "UNet2DConditionModel"]
    assert index["vae"] == ["diffusers", "AutoencoderKL"]
    assert index["safety_checker"] == [None, None]
    for name, expected in (("unet", UNET), ("vae_decoder", VAE), ("text_encoder", CLIP)):
        found = json.loads((tmp_path / "out" / name / "config.json").read_text())
        assert {key: found[key] for key in expected} == json.loads(json.dumps(expected))


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    stable_diffusion(tmp_path)
    path = tmp_path / "source" / "model_index.json"
    index = json.loads(path.read_text())
    layout = layout_of(tmp_path / "source")
    assert layout.notes == ()
    path.write_text(json.dumps({**index, "safety_checker": ["stable_diffusion", "Checker"]}))
    layout = layout_of(tmp_path / "source")
    assert layout.notes == ("safety_checker is not part of a generation and is left out",)
    write_pipeline(layout, tmp_path / "out")
    written = json.loads((tmp_path / "out" / "model_index.json").read_text())
    assert (written["safety_checker"], written["requires_safety_checker"]) == ([None, None], False)


def test_a_built_in_model_has_a_scheduler_and_no_tokenizer(tmp_path: Path) -> None:
    layout = layout_of("stable-diffusion-v1-5-tiny")
    assert any("no tokenizer" in note for note in layout.notes)
    write_pipeline(layout, tmp_path)
    index = json.loads((tmp_path / "model_index.json").read_text())
    assert "tokenizer" not in index
    scheduler = json.loads((tmp_path / "scheduler" / "scheduler_config.json").read_text())
    assert scheduler["_class_name"] == index["scheduler"][1] == "PNDMScheduler"
    assert scheduler["beta_schedule"] == "scaled_linear"


def test_every_stated_scheduler_and_pipeline_exists() -> None:
    import diffusers

    for model in ("stable-diffusion-2-1", "stable-diffusion-xl", "dit-xl-2-256", "pixart-alpha-xl-2-1024", "wan-2-1-t2v-14b", "ltx-video", "hunyuan-video", "flux-1-schnell"):  # fmt: skip  # noqa: E501
        known = known_pipeline(model)
        assert known is not None, model
        assert hasattr(diffusers, known.pipeline)
        scheduler = getattr(diffusers, known.scheduler["_class_name"])
        assert scheduler.from_config(dict(known.scheduler)).config.num_train_timesteps == 1000
    assert known_pipeline("stable-diffusion-xl-refiner") is None
    assert known_pipeline("imagen") is None


def test_a_language_model_is_two_models_without_an_index(tmp_path: Path) -> None:
    layout = layout_of("llama-2-7b-tiny")
    write_pipeline(layout, tmp_path)
    assert not (tmp_path / "model_index.json").exists()
    manifest = json.loads((tmp_path / "graphlab.json").read_text())
    assert [item["file"] for item in manifest["stages"]] == ["prefill/model.onnx", "decode/model.onnx"]
    assert manifest["stages"][1]["class"] == "LlamaForCausalLM"
    assert any("no pipeline of diffusers" in note for note in manifest["notes"])


def test_weights_a_pipeline_reads_itself_are_configured(tmp_path: Path) -> None:
    layout = layout_of("ltx-video-tiny")
    write_pipeline(layout, tmp_path, lambda stage: weight_source(layout.workload, stage, "random:0"))
    config = json.loads((tmp_path / "vae_decoder" / "config.json").read_text())
    assert (config["latents_mean"], config["latents_std"]) == ([0.0] * 8, [1.0] * 8)
