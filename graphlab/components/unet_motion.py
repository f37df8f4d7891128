"""diffusers.UNetMotionModel: AnimateDiff, a Stable Diffusion U-Net with motion modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphlab.components.base import Component, Config, build_on_meta, component, pixels_per_latent, scale_note
from graphlab.components.unet3d import VAE_SCALE
from graphlab.components.video import pair, video_variables
from graphlab.errors import UnknownArchitectureError
from graphlab.workload import Argument, TensorInput, Variable

if TYPE_CHECKING:
    import torch


@component("UNetMotionModel")
def unet_motion(config: Config, dtype: str) -> Component:
    """sample (batch, channels, frames, height/8, width/8), encoder_hidden_states (batch * frames, tokens, cross).

    The pipeline repeats the text for every frame. With addition_embed_type "text_time" (Stable Diffusion XL)
    there are also text_embeds (batch, pooled) and time_ids (batch, 6).
    Called as in diffusers pipelines/animatediff/pipeline_animatediff.py.
    """

    def build() -> torch.nn.Module:
        from diffusers import UNetMotionModel

        return build_on_meta(lambda: UNetMotionModel.from_config(dict(config)), dtype)

    scale = pixels_per_latent(config, VAE_SCALE)
    rows, columns = pair(config.get("sample_size"), 64)
    latent = (
        "batch", int(config.get("in_channels", 4)), "frames", f"height // {scale}", f"width // {scale}",
    )  # fmt: skip
    text = ("batch * frames", "tokens", int(config.get("cross_attention_dim", 1280)))
    inputs: dict[str, Argument] = {
        "sample": TensorInput(latent, dtype, role="latent"),
        "timestep": TensorInput((), "int64", role="timestep"),
        "encoder_hidden_states": TensorInput(text, dtype, role="text", axes={0: ("batch", "frames")}),
        "return_dict": False,
    }
    inputs.update(_added(config, dtype))
    most = int(config.get("motion_max_seq_length", 32))
    return Component(
        class_name="UNetMotionModel",
        dtype=dtype,
        build=build,
        inputs=inputs,
        variables=(
            *video_variables(rows * scale, columns * scale, min(16, most), multiple_of=scale, most_frames=most),
            Variable("tokens", 77, "text tokens, padding included"),
        ),
        assumptions=(
            *scale_note(config, "8 x 8 pixels per latent position: the U-Net's configuration does not hold it"),
            "frames default to the pipeline's: the U-Net's configuration has none",
        ),
    )


def _added(config: Config, dtype: str) -> dict[str, Argument]:
    """{"added_cond_kwargs": ...} where the configuration asks for it."""
    projection, kind = config.get("encoder_hid_dim_type"), config.get("addition_embed_type")
    if projection is not None:
        raise UnknownArchitectureError(
            f"UNetMotionModel with encoder_hid_dim_type {projection!r} is not supported",
            hint="load it without the image adapter, or pass path/file.py:function",
        )
    if kind is None:
        return {}
    if kind != "text_time":
        raise UnknownArchitectureError(f"UNetMotionModel with addition_embed_type {kind!r} is not supported")
    # Six numbers: original size, crop and target size, two each (pipeline_animatediff_sdxl.py).
    times = 6 * int(config["addition_time_embed_dim"])
    pooled = int(config["projection_class_embeddings_input_dim"]) - times
    return {
        "added_cond_kwargs": {
            "text_embeds": TensorInput(("batch", pooled), dtype, role="condition"),
            "time_ids": TensorInput(("batch", 6), dtype, role="condition"),
        }
    }
