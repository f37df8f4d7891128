"""Folders: configuration in, stages out; what is missing, foreign or quantised is refused in one line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import graphlab
from graphlab.cli.main import main
from graphlab.components.base import COMPONENTS
from graphlab.errors import BindingError, SourceError, UnknownArchitectureError
from graphlab.models import cogvideox, flux, hunyuan_video, ltx_video, pixart, stable_diffusion_3, wan
from graphlab.models.building_blocks import TINY_T5

UNET = {
    "_class_name": "UNet2DConditionModel", "block_out_channels": [32, 64], "layers_per_block": 1, "norm_num_groups": 8,
    "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"], "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
    "cross_attention_dim": 32, "attention_head_dim": 4, "sample_size": 16,
}  # fmt: skip
VAE = {
    "_class_name": "AutoencoderKL", "block_out_channels": [16, 32], "norm_num_groups": 8, "latent_channels": 4,
    "down_block_types": ["DownEncoderBlock2D"] * 2, "up_block_types": ["UpDecoderBlock2D"] * 2,
}  # fmt: skip
CLIP = {
    "architectures": ["CLIPTextModel"], "model_type": "clip_text_model", "hidden_size": 32, "intermediate_size": 64,
    "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 99, "max_position_embeddings": 77,
    "torch_dtype": "float16",
}  # fmt: skip
LLAMA = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 32, "intermediate_size": 64,
    "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 99, "dtype": "bfloat16",
}  # fmt: skip


T5 = {**TINY_T5, "architectures": ["T5EncoderModel"], "model_type": "t5"}
UMT5 = {**wan.TINY_UMT5, "architectures": ["UMT5EncoderModel"], "model_type": "umt5"}
TEXT_LLAMA = {**hunyuan_video.TINY_LLAMA, "architectures": ["LlamaModel"], "model_type": "llama"}
PROJECTED = {**CLIP, "architectures": ["CLIPTextModelWithProjection"], "projection_dim": 32}
XL = {
    **UNET, "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"], "cross_attention_dim": 64,
    "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"], "addition_embed_type": "text_time",
    "addition_time_embed_dim": 8, "projection_class_embeddings_input_dim": 80,
}  # fmt: skip
WIDE_VAE = {**VAE, "latent_channels": 16}


def diffuser(class_name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    return {**config, "_class_name": class_name}


SD3 = diffuser("SD3Transformer2DModel", stable_diffusion_3.TINY)
FLUX = diffuser("FluxTransformer2DModel", flux.TINY)
PIXART = diffuser("PixArtTransformer2DModel", pixart.TINY)

PIPELINES: dict[str, dict[str, dict[str, Any]]] = {
    "StableDiffusionPipeline": {"text_encoder": CLIP, "unet": UNET, "vae": VAE},
    "StableDiffusionXLPipeline": {"text_encoder": CLIP, "text_encoder_2": PROJECTED, "unet": XL, "vae": VAE},
    "StableDiffusion3Pipeline": {
        "text_encoder": PROJECTED, "text_encoder_2": PROJECTED, "text_encoder_3": T5, "transformer": SD3,
        "vae": WIDE_VAE,
    },
    "FluxPipeline": {"text_encoder": CLIP, "text_encoder_2": T5, "transformer": FLUX, "vae": WIDE_VAE},
    "PixArtAlphaPipeline": {"text_encoder": T5, "transformer": PIXART, "vae": VAE},
    "PixArtSigmaPipeline": {"text_encoder": T5, "transformer": PIXART, "vae": VAE},
    "WanPipeline": {
        "text_encoder": UMT5, "transformer": diffuser("WanTransformer3DModel", wan.TINY),
        "vae": diffuser("AutoencoderKLWan", wan.TINY_VAE),
    },
    "LTXPipeline": {
        "text_encoder": T5, "transformer": diffuser("LTXVideoTransformer3DModel", ltx_video.TINY),
        "vae": diffuser("AutoencoderKLLTXVideo", ltx_video.TINY_VAE),
    },
    "CogVideoXPipeline": {
        "text_encoder": T5, "transformer": diffuser("CogVideoXTransformer3DModel", cogvideox.CONFIG_2B),
        "vae": diffuser("AutoencoderKLCogVideoX", {"block_out_channels": [8, 8, 8, 8]}),
    },
    "HunyuanVideoPipeline": {
        "text_encoder": TEXT_LLAMA, "text_encoder_2": CLIP,
        "transformer": diffuser("HunyuanVideoTransformer3DModel", hunyuan_video.TINY),
        "vae": diffuser("AutoencoderKLHunyuanVideo", hunyuan_video.TINY_VAE),
    },
}  # fmt: skip


def folder(path: Path, config: dict[str, Any]) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.json").write_text(json.dumps(config))
    return path


def pipeline(path: Path) -> Path:
    folder(path / "unet", UNET)
    folder(path / "vae", VAE)
    folder(path / "text_encoder", CLIP)
    index = {
        "_class_name": "StableDiffusionPipeline",
        "_diffusers_version": "0.42.1",
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "scheduler": ["diffusers", "PNDMScheduler"],
        "safety_checker": [None, None],
        "requires_safety_checker": True,
    }
    (path / "model_index.json").write_text(json.dumps(index))
    return path


def pipeline_of(path: Path, class_name: str, **changes: dict[str, Any]) -> Path:
    """The tiny folder of a pipeline class, with other configurations for some components."""
    parts = {**PIPELINES[class_name], **changes}
    for name, config in parts.items():
        folder(path / name, config)
    index = {"_class_name": class_name, **{name: ["library", "Class"] for name in parts}}
    (path / "model_index.json").write_text(json.dumps(index))
    return path


def lengths(report: graphlab.AnalysisReport, stage: str) -> set[tuple[Any, ...]]:
    return {(row.kind, row.q_tokens, row.kv_tokens) for row in report.stage(stage).attention}


def test_a_pipeline_is_a_generation(tmp_path: Path) -> None:
    workload = graphlab.load(pipeline(tmp_path))
    assert [stage.name for stage in workload.stages] == ["text_encoder", "unet", "vae_decoder"]
    unet = workload.stage("unet")
    assert (workload.steps(unet), workload.calls_per_step(unet)) == (50, 2)
    assert workload.values()["guidance"] == 7.5
    assert workload.calls_per_step(workload.bind({"guidance": 1}).stage("unet")) == 2
    bound = workload.bind({"guidance": 1.0, "steps": 3})
    assert (bound.steps(unet), bound.calls_per_step(unet)) == (3, 1)


def test_a_pipeline_is_analysed_whole(tmp_path: Path) -> None:
    report = graphlab.analyze(pipeline(tmp_path), dynamic=False, steps=4)
    unet = report.stage("unet")
    assert unet.flops_total == unet.flops_per_step * 4 * 2
    assert report.totals["flops"] == sum(stage.flops_total for stage in report.stages)
    assert {row.kind for row in unet.attention} == {"self", "cross"}


def test_a_component_folder_is_one_stage(tmp_path: Path) -> None:
    report = graphlab.analyze(folder(tmp_path / "clip", CLIP), dynamic=False)
    (stage,) = report.stages
    assert (stage.name, stage.dtype) == ("CLIPTextModel", "float16")
    assert stage.attention[0].causal is True


def test_a_language_model_folder_is_prefill_and_decode(tmp_path: Path) -> None:
    report = graphlab.analyze(folder(tmp_path / "llama", LLAMA), dynamic=False, tokens=12, new_tokens=3)
    assert [stage.name for stage in report.stages] == ["prefill", "decode"]
    assert report.totals["parameters"] == report.stages[0].parameters
    decode = report.stage("decode")
    assert decode.steps == 3
    assert decode.cache_bytes == 2 * 2 * 2 * 14 * 8 * 2  # key and value, layers, heads, tokens + 2, width, bytes
    assert decode.dtype == "bfloat16"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"hidden_size": 3}, "names no class"),
        ({"architectures": ["NobodyForCausalLM"]}, "does not know how NobodyForCausalLM"),
        ({"architectures": ["RemoteModel"], "auto_map": {"AutoModel": "evil.Model"}}, "code from outside"),
        ({**LLAMA, "quantization_config": {"quant_method": "gptq"}}, "quantised"),
    ],
)
def test_what_cannot_be_analysed_is_refused(tmp_path: Path, config: dict[str, Any], message: str) -> None:
    with pytest.raises((SourceError, UnknownArchitectureError), match=message) as caught:
        graphlab.load(folder(tmp_path / "m", config))
    assert "\n" not in str(caught.value)


def test_damaged_folders_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"neither model_index\.json nor config\.json"):
        graphlab.load(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(SourceError, match="is not JSON"):
        graphlab.load(tmp_path)
    (tmp_path / "config.json").write_text("[1]")
    with pytest.raises(SourceError, match="a JSON list"):
        graphlab.load(tmp_path)


def test_a_missing_component_is_named(tmp_path: Path) -> None:
    made = pipeline(tmp_path)
    (made / "vae" / "config.json").unlink()
    (made / "vae").rmdir()
    with pytest.raises(SourceError, match="component vae"):
        graphlab.load(made)


# Two blocks make the autoencoder 2 pixels a latent position: 16 latent rows are 32 pixels, 8 x 8 patches of 2.
@pytest.mark.parametrize(
    ("name", "sizes", "side", "expected"),
    [
        ("StableDiffusionPipeline", {}, 32, {
            "text_encoder": {("self", 77, 77)}, "unet": {("self", 256, 256), ("cross", 256, 77),
            ("self", 64, 64), ("cross", 64, 77)}, "vae_decoder": {("self", 256, 256)},
        }),
        ("StableDiffusionXLPipeline", {}, 32, {
            "text_encoder": {("self", 77, 77)}, "text_encoder_2": {("self", 77, 77)},
            "unet": {("self", 64, 64), ("cross", 64, 77)},
        }),
        ("StableDiffusion3Pipeline", {}, 32, {
            "text_encoder": {("self", 77, 77)}, "text_encoder_2": {("self", 77, 77)},
            "text_encoder_3": {("self", 256, 256)}, "transformer": {("joint", 64 + 77 + 256, 64 + 77 + 256)},
            "vae_decoder": {("self", 256, 256)},
        }),
        ("StableDiffusion3Pipeline", {"tokens": 40}, 32, {
            "text_encoder": {("self", 77, 77)}, "text_encoder_3": {("self", 40, 40)},
            "transformer": {("joint", 64 + 77 + 40, 64 + 77 + 40)},
        }),
        ("FluxPipeline", {"height": 32, "width": 32}, 32, {
            "text_encoder": {("self", 77, 77)}, "text_encoder_2": {("self", 512, 512)},
            "transformer": {("joint", 64 + 512, 64 + 512)}, "vae_decoder": {("self", 256, 256)},
        }),
        ("PixArtAlphaPipeline", {}, 32, {
            "text_encoder": {("self", 120, 120)}, "transformer": {("self", 64, 64), ("cross", 64, 120)},
        }),
    ],
)  # fmt: skip
def test_every_encoder_has_its_length_and_the_denoiser_its_latent(
    tmp_path: Path, name: str, sizes: dict[str, int], side: int, expected: dict[str, set[tuple[Any, ...]]]
) -> None:
    made = pipeline_of(tmp_path, name)
    values = graphlab.load(made, **sizes).values()
    assert (values["height"], values["width"]) == (side, side)
    report = graphlab.analyze(made, dynamic=False, **sizes)
    assert {stage: lengths(report, stage) for stage in expected} == expected


@pytest.mark.parametrize(
    ("name", "tokens", "steps", "calls"),
    [
        ("StableDiffusionPipeline", 77, 50, {"text_encoder": 2, "unet": 2}),
        ("StableDiffusionXLPipeline", 77, 50, {"text_encoder": 1, "text_encoder_2": 1, "unet": 2}),
        ("StableDiffusion3Pipeline", 256, 28, {"text_encoder": 2, "text_encoder_3": 2, "transformer": 2}),
        ("FluxPipeline", 512, 28, {"text_encoder": 1, "text_encoder_2": 1, "transformer": 1}),
        ("PixArtAlphaPipeline", 120, 20, {"text_encoder": 2, "transformer": 2}),
        ("PixArtSigmaPipeline", 300, 20, {"text_encoder": 2, "transformer": 2}),
        ("WanPipeline", 512, 50, {"text_encoder": 2, "transformer": 2}),
        ("LTXPipeline", 128, 50, {"text_encoder": 2, "transformer": 2}),
        ("CogVideoXPipeline", 226, 50, {"text_encoder": 2, "transformer": 2}),
        ("HunyuanVideoPipeline", 256, 50, {"text_encoder": 1, "text_encoder_2": 1, "transformer": 1}),
    ],
)
def test_defaults_and_calls_are_the_pipeline_s(
    tmp_path: Path, name: str, tokens: int, steps: int, calls: dict[str, int]
) -> None:
    workload = graphlab.load(pipeline_of(tmp_path, name))
    assert (workload.values()["tokens"], workload.values()["steps"]) == (tokens, steps)
    assert {stage: workload.calls_per_step(workload.stage(stage)) for stage in calls} == calls
    assert workload.calls_per_step(workload.stage("vae_decoder")) == 1
    notes = " ".join((*workload.assumptions, *(note for stage in workload.stages for note in stage.assumptions)))
    assert "per latent position" not in notes
    assert "text tokens" not in notes


def test_encoders_are_called_as_the_pipeline_calls_them(tmp_path: Path) -> None:
    hunyuan = graphlab.load(pipeline_of(tmp_path / "hunyuan", "HunyuanVideoPipeline"))
    assert hunyuan.stage("text_encoder").inputs["input_ids"].shape == ("batch", "tokens + 95")  # type: ignore[union-attr] # a tensor
    assert hunyuan.stage("text_encoder_2").inputs["input_ids"].shape == ("batch", 77)  # type: ignore[union-attr] # a tensor
    assert (
        graphlab.load(pipeline_of(tmp_path / "flux", "FluxPipeline")).stage("text_encoder_2").inputs["attention_mask"]
        is None
    )
    pixart_encoder = graphlab.load(pipeline_of(tmp_path / "pixart", "PixArtAlphaPipeline")).stage("text_encoder")
    assert pixart_encoder.inputs["attention_mask"] is not None


def test_clip_alone_limits_tokens(tmp_path: Path) -> None:
    with pytest.raises(BindingError, match="at most 77"):
        graphlab.load(pipeline_of(tmp_path / "xl", "StableDiffusionXLPipeline"), tokens=78)
    short = {**CLIP, "max_position_embeddings": 40}
    workload = graphlab.load(pipeline_of(tmp_path / "sd", "StableDiffusionPipeline", text_encoder=short))
    assert workload.values()["tokens"] == 40


def test_schnell_has_no_guidance(tmp_path: Path) -> None:
    transformer = {**FLUX, "guidance_embeds": False}
    workload = graphlab.load(pipeline_of(tmp_path, "FluxPipeline", transformer=transformer))
    assert "guidance" not in workload.values()
    assert workload.calls_per_step(workload.stage("transformer")) == 1
    bound = workload.bind({"true_cfg": 2})
    assert bound.calls_per_step(bound.stage("transformer")) == 2


def test_the_scale_is_the_autoencoder_s(tmp_path: Path) -> None:
    plain = graphlab.load(folder(tmp_path / "unet", UNET))
    assert plain.values()["height"] == 16 * 8
    deeper = {**VAE, "block_out_channels": [8, 8, 8], "down_block_types": ["DownEncoderBlock2D"] * 3,
              "up_block_types": ["UpDecoderBlock2D"] * 3}  # fmt: skip
    workload = graphlab.load(pipeline_of(tmp_path / "sd", "StableDiffusionPipeline", vae=deeper))
    assert workload.values()["height"] == 16 * 4
    sample = workload.stage("unet").inputs["sample"]
    assert sample.shape == ("batch", 4, "height // 4", "width // 4")  # type: ignore[union-attr] # a tensor
    flux_folder = graphlab.load(pipeline_of(tmp_path / "flux", "FluxPipeline"))
    assert flux_folder.values()["height"] == 128 * 2


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({**UNET, "block_out_channels": [17, 33]}, "UNet2DConditionModel .*17"),
        ({**UNET, "block_out_channels": "x"}, "UNet2DConditionModel .*block_out_channels"),
        ({**UNET, "in_channels": "four"}, "UNet2DConditionModel .*four"),
        ({**UNET, "sample_size": []}, "UNet2DConditionModel "),
        ({**UNET, "sample_size": 0}, "UNet2DConditionModel: .*height 0"),
        ({**UNET, "layers_per_block": None}, "UNet2DConditionModel "),
        ({**CLIP, "hidden_size": "wide"}, "CLIPTextModel "),
        ({**CLIP, "hidden_size": 33}, "CLIPTextModel .*33"),
        ({**LLAMA, "num_attention_heads": 0}, "LlamaForCausalLM "),
        ({**LLAMA, "hidden_size": "wide"}, "LlamaForCausalLM "),
        ({**LLAMA, "dtype": "float99"}, "float99"),
        ({"architectures": {"a": 1}}, "names no class"),
    ],
)
def test_values_that_make_no_module_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], config: dict[str, Any], message: str
) -> None:
    made = folder(tmp_path / "m", config)
    with pytest.raises(SourceError, match=message) as caught:
        graphlab.analyze(made, dynamic=False)
    assert "\n" not in str(caught.value)
    assert main(["analyze", str(made)]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("error:") == 1
    assert "internal error" not in printed.err


def test_a_pipeline_with_an_unknown_class_names_it(tmp_path: Path) -> None:
    transformer = {"_class_name": "HunyuanDiT2DModel"}
    made = pipeline_of(tmp_path, "PixArtAlphaPipeline", transformer=transformer)
    assert "HunyuanDiT2DModel" not in COMPONENTS
    with pytest.raises(UnknownArchitectureError, match="HunyuanDiT2DModel"):
        graphlab.load(made)


def test_a_short_model_s_prompt_is_stated_as_it_is(tmp_path: Path) -> None:
    workload = graphlab.load(folder(tmp_path / "m", {**LLAMA, "max_position_embeddings": 512}))
    assert workload.values()["tokens"] == 512
    assert any("512 tokens" in note for note in workload.assumptions)
