"""diffusers.SD3Transformer2DModel: Stable Diffusion 3 and 3.5."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from graphlab.components.base import Component, Config, build_on_meta, component, pixels_per_latent, scale_note
from graphlab.workload import TensorInput, Variable

if TYPE_CHECKING:
    import torch

# Defaults of SD3Transformer2DModel.__init__ that decide its inputs; a test compares them with the class.
DEFAULTS: Mapping[str, Any] = {
    "sample_size": 128,
    "patch_size": 2,
    "in_channels": 16,
    "joint_attention_dim": 4096,
    "pooled_projection_dim": 2048,
    "pos_embed_max_size": 96,
}

VAE_SCALE = 8
"""Pixels per latent position of Stable Diffusion 3's autoencoder (three halvings)."""

CLIP_TOKENS = 77
"""Tokens of the two CLIP encoders, side by side in width, that stand before T5's in the joint sequence."""


@component("SD3Transformer2DModel")
def sd3_transformer(config: Config, dtype: str) -> Component:
    """hidden_states (batch, channels, height/8, width/8), encoder_hidden_states (batch, 77 + tokens, 4096).

    pooled_projections (batch, pooled), timestep (batch,) of the flow-matching scheduler, in float32.
    """

    def build() -> torch.nn.Module:
        from diffusers import SD3Transformer2DModel

        return build_on_meta(lambda: SD3Transformer2DModel.from_config(dict(config)), dtype)

    known = {**DEFAULTS, **config}
    scale = pixels_per_latent(config, VAE_SCALE)
    side = int(known["sample_size"]) * scale
    patch = int(known["patch_size"]) * scale
    largest = int(known["pos_embed_max_size"]) * patch
    latent = ("batch", int(known["in_channels"]), f"height // {scale}", f"width // {scale}")
    text = ("batch", f"{CLIP_TOKENS} + tokens", int(known["joint_attention_dim"]))
    return Component(
        class_name="SD3Transformer2DModel",
        dtype=dtype,
        build=build,
        inputs={
            "hidden_states": TensorInput(latent, dtype, role="latent"),
            "encoder_hidden_states": TensorInput(text, dtype, role="text"),
            "pooled_projections": TensorInput(("batch", int(known["pooled_projection_dim"])), dtype, role="condition"),
            "timestep": TensorInput(("batch",), "float32", role="timestep"),
            "return_dict": False,
        },
        variables=(
            Variable("height", side, "image height in pixels", minimum=patch, maximum=largest, multiple_of=patch),
            Variable("width", side, "image width in pixels", minimum=patch, maximum=largest, multiple_of=patch),
            Variable("batch", 1, "images per generation"),
            Variable("tokens", 256, "T5 tokens, padding included; 77 CLIP tokens come before", maximum=512),
        ),
        masked_text=False,
        assumptions=(
            *scale_note(config, "8 pixels per latent position (the pipeline's)"),
            "77 CLIP tokens before T5's (the pipeline's)",
        ),
    )
