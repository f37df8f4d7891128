"""diffusers.FluxTransformer2DModel: FLUX.1 dev and schnell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from graphlab.components.base import Component, Config, build_on_meta, component, pixels_per_latent
from graphlab.workload import Argument, TensorInput, Variable

if TYPE_CHECKING:
    import torch

# Defaults of FluxTransformer2DModel.__init__ that decide its inputs; a test compares them with the class.
DEFAULTS: Mapping[str, Any] = {
    "in_channels": 64,
    "joint_attention_dim": 4096,
    "pooled_projection_dim": 768,
    "guidance_embeds": False,
    "axes_dims_rope": (16, 56, 56),
}

VAE_SCALE, PACKING = 8, 2
"""Pixels per latent position of FLUX's autoencoder, and latent positions per packed token; both per side."""

LATENT_SIDE = 128
"""FluxPipeline.default_sample_size; the configuration has no size."""


@component("FluxTransformer2DModel")
def flux_transformer(config: Config, dtype: str) -> Component:
    """hidden_states (batch, height/16 * width/16, 64), encoder_hidden_states (batch, tokens, 4096), positions.

    img_ids (height/16 * width/16, 3) and txt_ids (tokens, 3) are positions; pooled_projections (batch, 768),
    timestep (batch,), and guidance (batch,) where the scale is distilled into the model.
    """

    def build() -> torch.nn.Module:
        from diffusers import FluxTransformer2DModel

        return build_on_meta(lambda: FluxTransformer2DModel.from_config(dict(config)), dtype)

    known = {**DEFAULTS, **config}
    scale = pixels_per_latent(config, VAE_SCALE)
    patch, side = scale * PACKING, scale * LATENT_SIDE
    packed = f"(height // {patch}) * (width // {patch})"
    grid = ("height", "width")
    positions = len(known["axes_dims_rope"])
    latent = ("batch", packed, int(known["in_channels"]))
    text = ("batch", "tokens", int(known["joint_attention_dim"]))
    inputs: dict[str, Argument] = {
        "hidden_states": TensorInput(latent, dtype, role="latent", axes={1: grid}),
        "encoder_hidden_states": TensorInput(text, dtype, role="text"),
        "pooled_projections": TensorInput(("batch", int(known["pooled_projection_dim"])), dtype, role="condition"),
        "timestep": TensorInput(("batch",), dtype, role="timestep"),
        "img_ids": TensorInput((packed, positions), dtype, role="condition", axes={0: grid}),
        "txt_ids": TensorInput(("tokens", positions), dtype, role="condition"),
        "return_dict": False,
    }
    if known["guidance_embeds"]:
        inputs["guidance"] = TensorInput(("batch",), "float32", role="condition")
    return Component(
        class_name="FluxTransformer2DModel",
        dtype=dtype,
        build=build,
        inputs=inputs,
        variables=(
            Variable("height", side, "image height in pixels", minimum=patch, multiple_of=patch),
            Variable("width", side, "image width in pixels", minimum=patch, multiple_of=patch),
            Variable("batch", 1, "images per generation"),
            Variable("tokens", 512, "T5 tokens, padding included", maximum=512),
        ),
        masked_text=False,
        assumptions=("the configuration holds no size and no text length: their defaults are FluxPipeline's",),
    )
