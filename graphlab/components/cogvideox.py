"""diffusers.CogVideoXTransformer3DModel: CogVideoX 2B, 5B and 1.5."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from graphlab.components.base import (
    Component,
    Config,
    build_on_meta,
    component,
    frames_per_latent,
    pixels_per_latent,
    scale_note,
)
from graphlab.components.video import latent_frames
from graphlab.workload import Argument, TensorInput, Variable

if TYPE_CHECKING:
    import torch

VAE_SCALE = 8
"""Pixels per latent position of AutoencoderKLCogVideoX (2 to the power of its blocks less one)."""

# Defaults of CogVideoXTransformer3DModel.__init__ that decide its inputs; a test compares them with the class.
DEFAULTS: Mapping[str, Any] = {
    "in_channels": 16,
    "text_embed_dim": 4096,
    "attention_head_dim": 64,
    "sample_width": 90,
    "sample_height": 60,
    "sample_frames": 49,
    "patch_size": 2,
    "patch_size_t": None,
    "temporal_compression_ratio": 4,
    "max_text_seq_length": 226,
    "ofs_embed_dim": None,
    "use_rotary_positional_embeddings": False,
    "use_learned_positional_embeddings": False,
}


@component("CogVideoXTransformer3DModel")
def cogvideox_transformer(config: Config, dtype: str) -> Component:
    """hidden_states (batch, latent frames, channels, height/8, width/8), encoder_hidden_states (batch, tokens, text).

    timestep (batch,). With rotary positions (5B, 1.5) image_rotary_emb is a cosine and a sine, each
    (patches, head width) in float32. Without, the text length is part of the position table and fixed.
    Called as in diffusers pipelines/cogvideo/pipeline_cogvideox.py.
    """

    def build() -> torch.nn.Module:
        from diffusers import CogVideoXTransformer3DModel

        return build_on_meta(lambda: CogVideoXTransformer3DModel.from_config(dict(config)), dtype)

    known = {**DEFAULTS, **config}
    scale, frames = pixels_per_latent(config, VAE_SCALE), _latent_frames(known)
    latent = ("batch", frames, int(known["in_channels"]), f"height // {scale}", f"width // {scale}")
    text = ("batch", "tokens", int(known["text_embed_dim"]))
    inputs: dict[str, Argument] = {
        "hidden_states": TensorInput(latent, dtype, role="latent"),
        "encoder_hidden_states": TensorInput(text, dtype, role="text"),
        "timestep": TensorInput(("batch",), "int64", role="timestep"),
        "return_dict": False,
    }
    if known["use_rotary_positional_embeddings"]:
        inputs["image_rotary_emb"] = _rotary(known, frames)
    if known["ofs_embed_dim"]:
        inputs["ofs"] = TensorInput((1,), dtype, role="condition")
    return Component(
        class_name="CogVideoXTransformer3DModel",
        dtype=dtype,
        build=build,
        inputs=inputs,
        variables=_variables(known),
        masked_text=False,
        assumptions=scale_note(
            config, "8 x 8 pixels per latent position: the transformer's configuration does not hold it"
        ),
    )


def _latent_frames(known: Mapping[str, Any]) -> str:
    """Latent frames, padded to whole patches in time where there are any (CogVideoX 1.5)."""
    frames = latent_frames(frames_per_latent(known, int(known["temporal_compression_ratio"])))
    patch = known["patch_size_t"]
    return frames if patch is None else f"({frames} + {patch - 1}) // {patch} * {patch}"


def _rotary(known: Mapping[str, Any], frames: str) -> tuple[TensorInput, TensorInput]:
    pixels = pixels_per_latent(known, VAE_SCALE) * int(known["patch_size"])
    time = known["patch_size_t"] or 1
    patches = f"({frames}) // {time} * (height // {pixels}) * (width // {pixels})"
    part = TensorInput(
        (patches, int(known["attention_head_dim"])),
        "float32",
        role="condition",
        axes={0: ("frames", "height", "width")},
    )
    return part, part


def _variables(known: Mapping[str, Any]) -> tuple[Variable, ...]:
    scale = pixels_per_latent(known, VAE_SCALE)
    grid = scale * int(known["patch_size"])
    rows, columns = int(known["sample_height"]) * scale, int(known["sample_width"]) * scale
    tokens = int(known["max_text_seq_length"])
    # A learned position table has one resolution; a computed one still has one text length.
    fixed = bool(known["use_learned_positional_embeddings"])
    rotary = bool(known["use_rotary_positional_embeddings"])
    return (
        _size("height", rows, grid, fixed),
        _size("width", columns, grid, fixed),
        Variable("frames", int(known["sample_frames"]), "video frames"),
        Variable("batch", 1, "videos per generation"),
        Variable("tokens", tokens, "text tokens, padding included", minimum=1 if rotary else tokens, maximum=tokens),
    )


def _size(name: str, default: int, grid: int, fixed: bool) -> Variable:
    if fixed:
        return Variable(name, default, f"video {name} in pixels (fixed)", minimum=default, maximum=default)
    return Variable(name, default, f"video {name} in pixels", minimum=grid, multiple_of=grid)
