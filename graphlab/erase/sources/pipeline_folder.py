"""Reads the parts of a diffusers pipeline from its folder, and refuses what erasing does not understand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.noise import NoiseSchedule, Parametrisation, schedule_of

PARTS = ("unet", "text_encoder", "tokenizer", "scheduler")
_WHOLE = {"use_safetensors": True, "local_files_only": True, "output_loading_info": True}
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, RuntimeError)
_WEIGHTS = ("unet", "text_encoder")
_PLAIN = (
    "addition_embed_type",
    "class_embed_type",
    "encoder_hid_dim",
    "encoder_hid_dim_type",
    "num_class_embeds",
    "time_cond_proj_dim",
)
"""Entries of a U-Net's configuration that stay empty where it takes latents, times and texts alone."""


def check_folder(folder: Path) -> None:
    """EraseError for a folder that is no pipeline of a U-Net under one text encoder of CLIP."""
    second = sorted(path.name for path in folder.glob("text_encoder_*"))
    if second:
        raise EraseError(
            f"{folder} has a {second[0]}: concepts are erased from pipelines with one text encoder",
            hint="SDXL and its like are not taken",
        )
    for part in PARTS:
        if not (folder / part).is_dir():
            raise EraseError(f"{folder} has no {part}", hint=f"a pipeline has {', '.join(PARTS)}")
    for part in _WEIGHTS:
        if not list((folder / part).glob("*.safetensors")):
            raise EraseError(f"{folder / part} has no safetensors weights", hint="pickled ones are not read")
    unet = _json(folder / "unet" / "config.json")
    if (found := unet.get("_class_name")) != "UNet2DConditionModel":
        raise EraseError(f"the denoiser of {folder} is a {found}", hint="a UNet2DConditionModel is taken")
    for name in _PLAIN:
        if unet.get(name) is not None:
            raise EraseError(f"the U-Net of {folder} has {name} = {unet[name]!r}: it takes more than a text")
    if unet.get("in_channels") != unet.get("out_channels"):
        raise EraseError(
            f"the U-Net of {folder} takes {unet.get('in_channels')} channels", hint="inpainting is not taken"
        )


def loaded(folder: Path) -> tuple[Any, Any, Any, NoiseSchedule, Parametrisation]:
    """(U-Net, text encoder, tokenizer, schedule, what the U-Net predicts), the models in float32 and without gradients
    of the encoder. EraseError for what cannot be read, and texts of another width than the U-Net takes."""
    encoder_config = _json(folder / "text_encoder" / "config.json")
    if encoder_config.get("model_type") not in ("clip_text_model", "clip"):
        raise EraseError(
            f"the text encoder of {folder} is a {encoder_config.get('model_type')}", hint="one of CLIP is taken"
        )
    unet = loaded_unet(folder / "unet")
    encoder, tokenizer = _encoder(folder)
    schedule, kind = _schedule(folder / "scheduler")
    width = unet.config.cross_attention_dim
    if encoder.config.hidden_size != width:
        raise EraseError(f"the texts of {folder} are {encoder.config.hidden_size} wide, its U-Net takes {width}")
    return unet, encoder, tokenizer, schedule, kind


def loaded_unet(home: Path) -> Any:
    """The U-Net in the folder `home`, in float32 and evaluation mode; EraseError for a folder without one."""
    from diffusers import UNet2DConditionModel

    if not (home / "config.json").is_file() or not list(home.glob("*.safetensors")):
        raise EraseError(f"{home} holds no U-Net in safetensors")
    try:
        unet, lacks = UNet2DConditionModel.from_pretrained(home, torch_dtype=torch.float32, **_WHOLE)
    except _UNREADABLE as error:
        raise EraseError(f"{home} cannot be read as a U-Net: {error}") from error
    _check_whole(home, lacks)
    return unet.eval()


def _encoder(folder: Path) -> tuple[Any, Any]:
    """(text encoder, tokenizer)."""
    from transformers import CLIPTextModel, CLIPTokenizer

    try:
        with _silent():
            encoder, lacks = CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32, **_WHOLE)
            _check_whole(folder / "text_encoder", lacks)
            tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
    except _UNREADABLE as error:
        raise EraseError(f"{folder} cannot be read as a pipeline: {error}") from error
    return encoder.eval().requires_grad_(False), tokenizer


def _check_whole(folder: Path, lacks: dict[str, Any]) -> None:
    """EraseError for weights that the files did not give, which would be random ones."""
    missing = [*lacks["missing_keys"], *lacks["mismatched_keys"]]
    if missing:
        raise EraseError(f"{folder} lacks weights or has them in another shape: {missing[0]}")


@contextmanager
def _silent() -> Iterator[None]:
    """No bars of transformers, which belong to no report."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _schedule(folder: Path) -> tuple[NoiseSchedule, Parametrisation]:
    import diffusers

    name = str(_json(folder / "scheduler_config.json").get("_class_name"))
    kind = getattr(diffusers, name, None)
    if not name.endswith("Scheduler") or kind is None:
        raise EraseError(f"{folder} is of a scheduler {name!r} that diffusers does not have")
    try:
        return schedule_of(kind.from_pretrained(folder, local_files_only=True))
    except (OSError, ValueError, TypeError, NotImplementedError) as error:
        raise EraseError(f"{folder} cannot be read as a scheduler: {error}") from error


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EraseError(f"{path} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise EraseError(f"{path} is no configuration")
    return found
