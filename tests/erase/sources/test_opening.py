"""Bases and pipelines as sources: what they say, what they write, and what is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.noise import DiscreteSchedule
from graphlab.erase.sources.of_base import BaseSource
from graphlab.erase.sources.of_pipeline import PipelineSource
from graphlab.erase.sources.opening import open_source
from graphlab.erase.sources.source import named_prompts, prompts_of
from graphlab.erase.training.model import module_hash
from graphlab.erase.worlds.base_file import load_base
from tests.erase import tiny


def test_a_base_is_a_source(base_path: Path, tmp_path: Path) -> None:
    source = open_source(str(base_path))
    assert isinstance(source, BaseSource)
    assert source.shape == (1, 8, 8)
    assert source.phrases("three") == ("the digit three", "roman iii", "comes after two")
    named = named_prompts(source, source.phrases("three"))
    assert named.empty.shape == named.concept["roman iii"].shape == (1, source.base.language.tokens, 32)
    assert torch.equal(named.concept["roman iii"], load_base(base_path).encode(["roman iii"]))
    (file,) = source.save(tmp_path, {"erased": "nothing"})
    again = load_base(file)
    assert module_hash(again.unet) == module_hash(source.model.module)
    assert again.log == {"erased": "nothing"}


def test_a_pipeline_is_a_source(pipeline_path: Path, tmp_path: Path) -> None:
    source = open_source(str(pipeline_path))
    assert isinstance(source, PipelineSource)
    assert source.shape == (4, 8, 8)
    assert source.model.kind == "epsilon"
    assert isinstance(source.model.schedule, DiscreteSchedule)
    text = source.encode(["a cat", ""])
    assert text.shape == (2, tiny.TOKENS, tiny.WIDTH)
    assert not torch.equal(text[0], text[1])
    assert torch.equal(source.encode(["a cat"])[0], text[0])
    files = source.save(tmp_path, {})
    assert {file.name for file in files} == {"config.json", "diffusion_pytorch_model.safetensors"}
    shutil.copytree(pipeline_path, tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy" / "unet")
    shutil.copytree(tmp_path / "unet", tmp_path / "copy" / "unet")
    assert module_hash(open_source(str(tmp_path / "copy")).model.module) == module_hash(source.model.module)


def test_the_encoder_agrees_with_transformers(pipeline_path: Path) -> None:
    """The texts are those that diffusers' pipeline gives its U-Net."""
    from diffusers import StableDiffusionPipeline

    source = open_source(str(pipeline_path))
    assert isinstance(source, PipelineSource)
    pipe = StableDiffusionPipeline(
        vae=None,
        text_encoder=source.encoder,
        tokenizer=source.tokenizer,
        unet=source.model.module,
        scheduler=None,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    given, empty = pipe.encode_prompt("a cat", torch.device("cpu"), 1, True, negative_prompt="")
    assert torch.equal(source.encode(["a cat"]), given)
    assert torch.equal(source.encode([""]), empty)


def test_latents_of_another_shape_are_asked_for(pipeline_path: Path, base_path: Path) -> None:
    assert open_source(str(pipeline_path), (4, 16, 8)).shape == (4, 16, 8)
    with pytest.raises(EraseError, match=r"shape \(1, 8, 8\), not \(1, 16, 16\)"):
        open_source(str(base_path), (1, 16, 16))
    for shape in ((3, 16, 8), (4, 0, 8)):
        with pytest.raises(EraseError, match="takes latents of 4 channels"):
            open_source(str(pipeline_path), shape)


def test_a_file_where_the_folder_goes_is_said(pipeline_path: Path, tmp_path: Path) -> None:
    (tmp_path / "unet").write_text("precious")
    with pytest.raises(EraseError, match="it is a file"):
        open_source(str(pipeline_path)).save(tmp_path, {})
    assert (tmp_path / "unet").read_text() == "precious"


def test_a_copy_has_weights_of_its_own(pipeline_path: Path, base_path: Path) -> None:
    for path in (pipeline_path, base_path):
        source = open_source(str(path))
        other = source.copied()
        with torch.no_grad():
            next(iter(other.model.module.parameters())).add_(1)
        assert module_hash(other.model.module) != module_hash(source.model.module)


def test_prompts_come_of_concepts_once(base_path: Path) -> None:
    source = open_source(str(base_path))
    found = prompts_of(source, ["three", "four"], ["roman iii", "comes before four"])
    assert found[:3] == source.phrases("three")
    assert found[-1] == "comes before four"
    assert len(found) == 7
    with pytest.raises(EraseError, match="nothing is to be erased"):
        named_prompts(source, [])


def test_unknown_concepts_and_words_name_the_nearest(base_path: Path) -> None:
    source = open_source(str(base_path))
    with pytest.raises(EraseError, match="did you mean 'three'"):
        source.phrases("tree")
    with pytest.raises(EraseError, match="near it: digit"):
        source.encode(["the digits three"])


def test_a_long_prompt_is_not_cut(pipeline_path: Path) -> None:
    source = open_source(str(pipeline_path))
    source.encode(["abcdefghij"])
    with pytest.raises(EraseError, match=r"'abcdefghijk' has 11 tokens \(the encoder takes 10\)"):
        source.encode(["a", "abcdefghijk"])


@pytest.mark.parametrize("text", ["nowhere/base.safetensors", "nowhere.safetensors", "no-such-base"])
def test_what_is_not_there_is_said(text: str) -> None:
    with pytest.raises(EraseError, match=text):
        open_source(text)


def _without(part: str) -> Callable[[Path], None]:
    return lambda folder: shutil.rmtree(folder / part)


def _json(path: str, **changes: Any) -> Callable[[Path], None]:
    return lambda folder: tiny.edit_json(folder / path, **changes)


def _pickled(folder: Path) -> None:
    (folder / "unet" / "diffusion_pytorch_model.safetensors").rename(folder / "unet" / "diffusion_pytorch_model.bin")


def _second_encoder(folder: Path) -> None:
    (folder / "text_encoder_2").mkdir()


def _cut_short(folder: Path) -> None:
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def _lacking(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    del tensors["conv_in.bias"]
    save_file(tensors, path, {"format": "pt"})


REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "no-unet": (_without("unet"), "has no unet"),
    "no-scheduler": (_without("scheduler"), "has no scheduler"),
    "no-tokenizer": (_without("tokenizer"), "has no tokenizer"),
    "pickled-weights": (_pickled, "no safetensors weights"),
    "two-encoders": (_second_encoder, "has a text_encoder_2"),
    "another-denoiser": (
        _json("unet/config.json", _class_name="FluxTransformer2DModel"),
        "is a FluxTransformer2DModel",
    ),
    "added-conditions": (_json("unet/config.json", addition_embed_type="text_time"), "addition_embed_type"),
    "inpainting": (_json("unet/config.json", in_channels=9), "takes 9 channels"),
    "another-encoder": (_json("text_encoder/config.json", model_type="t5"), "text encoder of .* is a t5"),
    "another-prediction": (_json("scheduler/scheduler_config.json", prediction_type="sample"), "predicts 'sample'"),
    "another-scheduler": (
        _json("scheduler/scheduler_config.json", _class_name="NoSuchScheduler"),
        "scheduler 'NoSuchScheduler'",
    ),
    "no-diffusion": (_json("scheduler/scheduler_config.json", _class_name="EDMEulerScheduler"), "no noise levels"),
    "truncated": (_cut_short, "cannot be read as a U-Net"),
    "a-weight-missing": (_lacking, "lacks weights .* conv_in.bias"),
    "no-json": (lambda folder: (folder / "unet" / "config.json").write_text("{"), "config.json cannot be read"),  # type: ignore[dict-item,return-value]  # what write_text gives is dropped
}


@pytest.mark.parametrize("name", REFUSED)
def test_refuses_folders_that_are_not_understood(name: str, pipeline_path: Path, tmp_path: Path) -> None:
    damage, says = REFUSED[name]
    folder = tmp_path / "pipe"
    shutil.copytree(pipeline_path, folder)
    damage(folder)
    with pytest.raises(EraseError, match=says):
        open_source(str(folder))
