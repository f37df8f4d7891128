"""diffusers.WanTransformer3DModel: Wan 2.1 and 2.2, text or image to video."""

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
from graphlab.components.video import latent_frames, video_variables
from graphlab.workload import Argument, TensorInput, Variable

if TYPE_CHECKING:
    import torch

VAE_SCALE, VAE_FRAMES = 8, 4
"""Pixels and frames per latent position of AutoencoderKLWan (scale_factor_spatial, scale_factor_temporal)."""

# Defaults of WanTransformer3DModel.__init__ that decide its inputs; a test compares them with the class.
DEFAULTS: Mapping[str, Any] = {
    "patch_size": (1, 2, 2),
    "in_channels": 16,
    "text_dim": 4096,
    "image_dim": None,
    "pos_embed_seq_len": None,
}


@component("WanTransformer3DModel")
def wan_transformer(config: Config, dtype: str) -> Component:
    """hidden_states (batch, channels, latent frames, height/8, width/8), timestep (batch,), text (batch, tokens, text).

    Image-to-video adds encoder_hidden_states_image (batch, 257, image); first-and-last-frame models
    (pos_embed_seq_len) take both images there, (2 batch, 257, image).
    Called as in diffusers pipelines/wan/pipeline_wan.py, one timestep a video.
    """

    def build() -> torch.nn.Module:
        from diffusers import WanTransformer3DModel

        return build_on_meta(lambda: WanTransformer3DModel.from_config(dict(config)), dtype)

    known = {**DEFAULTS, **config}
    scale, ratio = pixels_per_latent(config, VAE_SCALE), frames_per_latent(config, VAE_FRAMES)
    latent = (
        "batch",
        int(known["in_channels"]),
        latent_frames(ratio),
        f"height // {scale}",
        f"width // {scale}",
    )
    text = ("batch", "tokens", int(known["text_dim"]))
    inputs: dict[str, Argument] = {
        "hidden_states": TensorInput(latent, dtype, role="latent"),
        "timestep": TensorInput(("batch",), "int64", role="timestep"),
        "encoder_hidden_states": TensorInput(text, dtype, role="text"),
        "return_dict": False,
    }
    if known["image_dim"] is not None:
        both = known["pos_embed_seq_len"]
        # 257 tokens: the CLIP ViT-H/14 of the pipeline at 224 pixels, 16 x 16 patches and the class token.
        shape = ("batch" if both is None else "2 * batch", 257 if both is None else both // 2, int(known["image_dim"]))
        inputs["encoder_hidden_states_image"] = TensorInput(shape, dtype, role="condition")
    grid = scale * max(known["patch_size"][1:])
    return Component(
        class_name="WanTransformer3DModel",
        separate_calls=True,
        dtype=dtype,
        build=build,
        inputs=inputs,
        variables=(
            *video_variables(480, 832, 81, multiple_of=grid),
            Variable("tokens", 512, "text tokens, padding included"),
        ),
        assumptions=(
            *scale_note(config, "one latent position for 4 x 8 x 8 pixels (the pipeline's)"),
            "frames, sides and text length default to WanPipeline's: the transformer's configuration has none",
        ),
    )
