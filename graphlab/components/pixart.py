"""diffusers.PixArtTransformer2DModel: PixArt-alpha and PixArt-sigma."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from graphlab.components.base import Component, Config, build_on_meta, component, pixels_per_latent, scale_note
from graphlab.errors import UnknownArchitectureError
from graphlab.workload import Argument, TensorInput, Variable

if TYPE_CHECKING:
    import torch

# Defaults of PixArtTransformer2DModel.__init__ that decide its inputs; a test compares them with the class.
DEFAULTS: Mapping[str, Any] = {
    "sample_size": 128,
    "patch_size": 2,
    "in_channels": 4,
    "cross_attention_dim": 1152,
    "caption_channels": None,
    "use_additional_conditions": None,
}

VAE_SCALE = 8
"""Pixels per latent position of the autoencoder PixArt was trained on."""


@component("PixArtTransformer2DModel")
def pixart_transformer(config: Config, dtype: str) -> Component:
    """hidden_states (batch, in_channels, height/8, width/8), encoder_hidden_states (batch, tokens, caption).

    encoder_attention_mask (batch, tokens) of 0 and 1 (the tokenizer's integers), timestep (batch,), and
    added_cond_kwargs with resolution (batch, 2) and aspect_ratio (batch, 1) where the class wants them.
    """

    def build() -> torch.nn.Module:
        from diffusers import PixArtTransformer2DModel

        return build_on_meta(lambda: PixArtTransformer2DModel.from_config(dict(config)), dtype)

    known = {**DEFAULTS, **config}
    scale = pixels_per_latent(config, VAE_SCALE)
    side = int(known["sample_size"]) * scale
    patch = int(known["patch_size"]) * scale
    latent = ("batch", int(known["in_channels"]), f"height // {scale}", f"width // {scale}")
    return Component(
        class_name="PixArtTransformer2DModel",
        dtype=dtype,
        build=build,
        inputs={
            "hidden_states": TensorInput(latent, dtype, role="latent"),
            "encoder_hidden_states": TensorInput(("batch", "tokens", _text_width(known)), dtype, role="text"),
            "encoder_attention_mask": TensorInput(("batch", "tokens"), "int64", role="mask"),
            "timestep": TensorInput(("batch",), "int64", role="timestep"),
            "added_cond_kwargs": _added(known, dtype),
            "return_dict": False,
        },
        variables=(
            Variable("height", side, "image height in pixels", minimum=patch, multiple_of=patch),
            Variable("width", side, "image width in pixels", minimum=patch, multiple_of=patch),
            Variable("batch", 1, "images per generation"),
            Variable("tokens", 120, "T5 tokens, padding included"),
        ),
        assumptions=(
            *scale_note(config, "8 pixels per latent position (the pipeline's)"),
            "the configuration sets no text length: tokens defaults to the pipeline's",
        ),
    )


def _text_width(known: Mapping[str, Any]) -> int:
    width = known["caption_channels"] or known["cross_attention_dim"]
    if width is None:
        raise UnknownArchitectureError(
            "PixArtTransformer2DModel without caption_channels and cross_attention_dim reads no text",
            hint="pass a path/file.py:function that returns (module, args, kwargs)",
        )
    return int(width)


def _added(known: Mapping[str, Any], dtype: str) -> Argument:
    """Size embeddings, on by default at sample_size 128 alone (the class's own test)."""
    wanted = known["use_additional_conditions"]
    if wanted is None:
        wanted = known["sample_size"] == 128
    if not wanted:
        return {"resolution": None, "aspect_ratio": None}
    return {
        "resolution": TensorInput(("batch", 2), dtype, role="condition"),
        "aspect_ratio": TensorInput(("batch", 1), dtype, role="condition"),
    }
