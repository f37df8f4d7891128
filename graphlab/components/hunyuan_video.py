"""diffusers.HunyuanVideoTransformer3DModel: HunyuanVideo."""

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
"""Pixels and frames per latent position of AutoencoderKLHunyuanVideo (its compression ratios)."""

TEMPLATE_TOKENS = 95
"""Tokens of the prompt template before the prompt: encoded by Llama, then cut off (crop_start of the pipeline)."""

# Defaults of HunyuanVideoTransformer3DModel.__init__ that decide its inputs; a test compares them with the class.
DEFAULTS: Mapping[str, Any] = {
    "in_channels": 16,
    "text_embed_dim": 4096,
    "pooled_projection_dim": 768,
    "guidance_embeds": True,
    "patch_size": 2,
}


@component("HunyuanVideoTransformer3DModel")
def hunyuan_video_transformer(config: Config, dtype: str) -> Component:
    """hidden_states (batch, channels, latent frames, height/8, width/8), text (batch, tokens, text) and its mask.

    pooled_projections (batch, pooled), timestep (batch,) in float32, guidance (batch,) where it is embedded.
    Called as in diffusers pipelines/hunyuan_video/pipeline_hunyuan_video.py.
    """

    def build() -> torch.nn.Module:
        from diffusers import HunyuanVideoTransformer3DModel

        return build_on_meta(lambda: HunyuanVideoTransformer3DModel.from_config(dict(config)), dtype)

    known = {**DEFAULTS, **config}
    scale, ratio = pixels_per_latent(config, VAE_SCALE), frames_per_latent(config, VAE_FRAMES)
    latent = (
        "batch",
        int(known["in_channels"]),
        latent_frames(ratio),
        f"height // {scale}",
        f"width // {scale}",
    )
    text = ("batch", "tokens", int(known["text_embed_dim"]))
    inputs: dict[str, Argument] = {
        "hidden_states": TensorInput(latent, dtype, role="latent"),
        "timestep": TensorInput(("batch",), "float32", role="timestep"),
        "encoder_hidden_states": TensorInput(text, dtype, role="text"),
        "encoder_attention_mask": TensorInput(("batch", "tokens"), dtype, role="mask"),
        "pooled_projections": TensorInput(("batch", int(known["pooled_projection_dim"])), dtype, role="condition"),
        "return_dict": False,
    }
    if known["guidance_embeds"]:
        inputs["guidance"] = TensorInput(("batch",), dtype, role="condition")
    return Component(
        class_name="HunyuanVideoTransformer3DModel",
        separate_calls=True,
        dtype=dtype,
        build=build,
        inputs=inputs,
        variables=(
            *video_variables(720, 1280, 129, multiple_of=scale * int(known["patch_size"])),
            Variable("tokens", 256, "text tokens, padding included"),
        ),
        template_tokens=TEMPLATE_TOKENS,
        assumptions=(
            *scale_note(config, "one latent position for 4 x 8 x 8 pixels (the pipeline's)"),
            "frames, sides and text length default to HunyuanVideoPipeline's: the transformer's configuration has none",
        ),
    )
