"""diffusers.UNet3DConditionModel: ModelScope text-to-video."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphlab.components.base import Component, Config, build_on_meta, component, pixels_per_latent, scale_note
from graphlab.components.video import pair, video_variables
from graphlab.workload import TensorInput, Variable

if TYPE_CHECKING:
    import torch

VAE_SCALE = 8
"""Pixels per latent position of the AutoencoderKL these models use; the U-Net's configuration does not say."""


@component("UNet3DConditionModel")
def unet3d_condition(config: Config, dtype: str) -> Component:
    """sample (batch, channels, frames, height/8, width/8), timestep (), encoder_hidden_states (batch, tokens, cross).

    Called as in diffusers pipelines/deprecated/text_to_video_synthesis/pipeline_text_to_video_synth.py.
    """

    def build() -> torch.nn.Module:
        from diffusers import UNet3DConditionModel

        return build_on_meta(lambda: UNet3DConditionModel.from_config(dict(config)), dtype)

    scale = pixels_per_latent(config, VAE_SCALE)
    rows, columns = pair(config.get("sample_size"), 32)
    latent = (
        "batch", int(config.get("in_channels", 4)), "frames", f"height // {scale}", f"width // {scale}",
    )  # fmt: skip
    text = ("batch", "tokens", int(config.get("cross_attention_dim", 1024)))
    return Component(
        class_name="UNet3DConditionModel",
        dtype=dtype,
        build=build,
        inputs={
            "sample": TensorInput(latent, dtype, role="latent"),
            "timestep": TensorInput((), "int64", role="timestep"),
            "encoder_hidden_states": TensorInput(text, dtype, role="text"),
            "return_dict": False,
        },
        variables=(
            *video_variables(rows * scale, columns * scale, 16, multiple_of=scale),
            Variable("tokens", 77, "text tokens, padding included"),
        ),
        assumptions=(
            *scale_note(config, "8 x 8 pixels per latent position: the U-Net's configuration does not hold it"),
            "frames default to the pipeline's: the U-Net's configuration has none",
        ),
    )
