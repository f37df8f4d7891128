"""The base files of graphlab.erase: the encoder of a prompt, then a U-Net over pixels, with the file's own weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphlab.components.base import PIXELS_PER_LATENT, component_for
from graphlab.components.erase_base import unet_config
from graphlab.errors import SourceError
from graphlab.sources.tensors import StateDictIndex
from graphlab.workload import Stage, TensorInput, Variable, Workload

if TYPE_CHECKING:
    import torch

FORMAT, VERSION = "graphlab.erase-base", "1"
ENCODER, UNET = "text_encoder", "unet"
PREFIXES = {ENCODER: "encoder.", UNET: "unet."}
"""{stage: what the file's names of its weights begin with}."""
_IMAGES = {True: 8, False: 16}
"""{whether the first level attends: the side of the images}: attention is at 8 x 8 alone."""
_GUIDED = "2 if guidance > 1 else 1"


def is_erase_base(index: StateDictIndex) -> bool:
    """Whether a safetensors file says that it is a base."""
    return _described(index).get("format") == FORMAT


def erase_base_workload(path: Path, source: str, index: StateDictIndex) -> Workload:
    """The Workload of the base at `path`: `text_encoder` once a prompt, `unet` in 25 steps with guidance 2.

    Its modules hold the file's values, so that rewrites can change them. SourceError for another version, and where
    configuration and weights do not fit.
    """
    about = _described(index)
    if about.get("version") != VERSION:
        raise SourceError(f"{path} is a base of version {about.get('version')!r}", hint=f"known: {VERSION}")
    try:
        encoder, unet = _configs(about, index)
        named = str(about["config"]["world"])
        flow = about["config"]["kind"] == "flow"
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise SourceError(f"{path}: what it says of itself is none of a base ({error!r})") from error
    read = component_for("TextEncoder", encoder, "float32")
    predict = component_for("UNet2DConditionModel", unet, "float32")
    text = TensorInput(("batch", encoder["tokens"], unet["cross_attention_dim"]), "float32", role="text")
    time = TensorInput((), "float32" if flow else "int64", role="timestep")
    stages = (
        _held(path, read.stage(ENCODER, calls_per_step=_GUIDED)),
        _held(
            path,
            predict.stage(
                UNET,
                steps="steps",
                calls_per_step=_GUIDED,
                inputs={"encoder_hidden_states": text, "timestep": time},
            ),
        ),
    )
    variables = (
        *(variable for variable in predict.variables if variable.name != "tokens"),
        Variable("steps", 25, "denoising steps"),
        Variable("guidance", 2.0, "guidance scale; above 1 every step makes two calls", minimum=0),
    )
    return Workload(f"{named}-base", source, stages, variables)


def _described(index: StateDictIndex) -> Mapping[str, Any]:
    """What the metadata says; nothing where it is no JSON object."""
    try:
        about = json.loads(index.metadata.get("graphlab", "{}"))
    except ValueError:
        return {}
    return about if isinstance(about, dict) else {}


def _configs(about: Mapping[str, Any], index: StateDictIndex) -> tuple[dict[str, Any], dict[str, Any]]:
    """(configuration of the encoder, of the U-Net), what the file does not say read from the shapes of its weights."""
    config, language = about["config"], about["language"]
    first, second = config["channels"]
    attends = any(key.startswith("unet.down_blocks.0.attentions.") for key in index.tensors)
    text = index.tensors["encoder.norm.weight"].shape[0]
    side, colours = _IMAGES[attends], index.tensors["unet.conv_in.weight"].shape[1]
    unet = unet_config((colours, side, side), (int(first), int(second)), int(config["heads"]), text)
    encoder = {"vocabulary": len(language["vocabulary"]), "tokens": int(language["tokens"])}
    return encoder, {**unet, PIXELS_PER_LATENT: 1}


def _held(path: Path, stage: Stage) -> Stage:
    """`stage` with the values of the file; without an identity, so that no cache answers for a file that changed."""
    assert stage.build is not None
    build = partial(_build, path, PREFIXES[stage.name], stage.build)
    return replace(stage, build=build, identity="", holds_values=True)


def _build(path: Path, prefix: str, empty: Callable[[], torch.nn.Module]) -> torch.nn.Module:
    """The module of `empty` with the weights of the file whose names begin with `prefix`, in evaluation mode."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    module = empty().to_empty(device="cpu")
    try:
        given = {k.removeprefix(prefix): v for k, v in load_file(path).items() if k.startswith(prefix)}
        module.load_state_dict(given)
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise SourceError(f"{path}: its weights {prefix}* do not fit the model it names: {reason}") from error
    return module.eval().requires_grad_(False)
