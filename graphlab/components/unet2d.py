"""diffusers.UNet2DConditionModel: Stable Diffusion 1.x, 2.x, XL and DeepFloyd IF."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphlab.components.base import Component, Config, build_on_meta, component
from graphlab.workload import TensorInput, Variable

if TYPE_CHECKING:
    import torch

VAE_SCALE = 8
"""Pixels per latent position of the AutoencoderKL of every Stable Diffusion (three halvings)."""


@component("UNet2DConditionModel")
def unet2d_condition(config: Config, dtype: str) -> Component:
    """sample (batch, in_channels, height/8, width/8), timestep (), encoder_hidden_states (batch, tokens, cross)."""

    def build() -> torch.nn.Module:
        from diffusers import UNet2DConditionModel

        return build_on_meta(lambda: UNet2DConditionModel.from_config(dict(config)), dtype)

    side = int(config.get("sample_size", 64)) * VAE_SCALE
    channels = int(config.get("in_channels", 4))
    latent = ("batch", channels, f"height // {VAE_SCALE}", f"width // {VAE_SCALE}")
    return Component(
        class_name="UNet2DConditionModel",
        dtype=dtype,
        build=build,
        inputs={
            "sample": TensorInput(latent, dtype, role="latent"),
            "timestep": TensorInput((), "int64", role="timestep"),
            "encoder_hidden_states": TensorInput(
                ("batch", "tokens", int(config.get("cross_attention_dim", 1280))), dtype, role="text"
            ),
            "return_dict": False,
        },
        variables=(
            Variable("height", side, "image height in pixels", multiple_of=VAE_SCALE, minimum=VAE_SCALE),
            Variable("width", side, "image width in pixels", multiple_of=VAE_SCALE, minimum=VAE_SCALE),
            Variable("batch", 1, "images per generation"),
            Variable("tokens", 77, "text tokens"),
        ),
    )
