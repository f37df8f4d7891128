"""diffusers.UNetSpatioTemporalConditionModel: Stable Video Diffusion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphlab.components.base import Component, Config, build_on_meta, component, pixels_per_latent
from graphlab.components.unet3d import VAE_SCALE
from graphlab.components.video import video_variables
from graphlab.workload import TensorInput

if TYPE_CHECKING:
    import torch


@component("UNetSpatioTemporalConditionModel")
def unet_spatio_temporal(config: Config, dtype: str) -> Component:
    """sample (batch, frames, channels, height/8, width/8), encoder_hidden_states (batch, 1, cross), added_time_ids.

    The text is one image embedding; added_time_ids (batch, 3) are frame rate, motion and noise. The timestep
    is a float32 scalar (EulerDiscreteScheduler with continuous timesteps).
    Called as in diffusers pipelines/stable_video_diffusion/pipeline_stable_video_diffusion.py.
    """

    def build() -> torch.nn.Module:
        from diffusers import UNetSpatioTemporalConditionModel

        return build_on_meta(lambda: UNetSpatioTemporalConditionModel.from_config(dict(config)), dtype)

    scale = pixels_per_latent(config, VAE_SCALE)
    latent = (
        "batch", "frames", int(config.get("in_channels", 8)), f"height // {scale}", f"width // {scale}",
    )  # fmt: skip
    cross = config.get("cross_attention_dim", 1024)
    width = int(cross if isinstance(cross, int) else cross[0])
    conditions = int(config.get("projection_class_embeddings_input_dim", 768)) // int(
        config.get("addition_time_embed_dim", 256)
    )
    return Component(
        class_name="UNetSpatioTemporalConditionModel",
        dtype=dtype,
        build=build,
        inputs={
            "sample": TensorInput(latent, dtype, role="latent"),
            "timestep": TensorInput((), "float32", role="timestep"),
            "encoder_hidden_states": TensorInput(("batch", 1, width), dtype, role="condition"),
            "added_time_ids": TensorInput(("batch", conditions), dtype, role="condition"),
            "return_dict": False,
        },
        # The pipeline's own size: the configuration's sample_size is the square side of the training.
        variables=video_variables(576, 1024, int(config.get("num_frames", 25)), multiple_of=scale),
        assumptions=("sides default to StableVideoDiffusionPipeline's, not to the configuration's",),
    )
