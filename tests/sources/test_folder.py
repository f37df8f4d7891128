"""Folders: configuration in, stages out; what is missing, foreign or quantised is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import graphlab
from graphlab.errors import SourceError, UnknownArchitectureError

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
