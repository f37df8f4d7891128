"""diffusers.LTXVideoTransformer3DModel: LTX-Video."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
from graphlab.errors import UnknownArchitectureError
from graphlab.workload import TensorInput, Variable

if TYPE_CHECKING:
    import torch

VAE_SCALE, VAE_FRAMES = 32, 8
"""Pixels and frames per latent position of AutoencoderKLLTXVideo (4 x 4 patches, three halvings)."""

GRID = ("frames", "height", "width")


@component("LTXVideoTransformer3DModel")
def ltx_transformer(config: Config, dtype: str) -> Component:
    """hidden_states (batch, latent tokens, channels), encoder_hidden_states (batch, tokens, caption), its mask.

    Latent tokens are frames/8 x height/32 x width/32, packed. Positions come in as video_coords
    (batch, 3, latent tokens) in float32, as LTXConditionPipeline passes them; LTXPipeline passes the three
    sizes and the model makes the same coordinates, at no contraction.
    Called as in diffusers pipelines/ltx/pipeline_ltx.py.
    """

    def build() -> torch.nn.Module:
        from diffusers import LTXVideoTransformer3DModel

        return build_on_meta(lambda: LTXVideoTransformer3DModel.from_config(dict(config)), dtype)

    if config.get("patch_size", 1) != 1 or config.get("patch_size_t", 1) != 1:
        raise UnknownArchitectureError(
            "LTXVideoTransformer3DModel with patches is not supported",
            hint="every published LTX-Video has patch_size 1; pass path/file.py:function",
        )
    scale, ratio = pixels_per_latent(config, VAE_SCALE), frames_per_latent(config, VAE_FRAMES)
    packed = f"({latent_frames(ratio)}) * (height // {scale}) * (width // {scale})"
    latent = ("batch", packed, int(config.get("in_channels", 128)))
    text = ("batch", "tokens", int(config.get("caption_channels", 4096)))
    return Component(
        class_name="LTXVideoTransformer3DModel",
        dtype=dtype,
        build=build,
        inputs={
            "hidden_states": TensorInput(latent, dtype, role="latent", axes={1: GRID}),
            "encoder_hidden_states": TensorInput(text, dtype, role="text"),
            "timestep": TensorInput(("batch",), "float32", role="timestep"),
            "encoder_attention_mask": TensorInput(("batch", "tokens"), "bool", role="mask"),
            "video_coords": TensorInput(("batch", 3, packed), "float32", role="condition", axes={2: GRID}),
            "return_dict": False,
        },
        variables=(
            *video_variables(512, 704, 161, multiple_of=scale),
            Variable("tokens", 128, "text tokens, padding included"),
        ),
        masked_text=False,
        assumptions=(
            *scale_note(config, "one latent position for 8 x 32 x 32 pixels (the pipeline's)"),
            "frames, sides and text length default to LTXPipeline's: the transformer's configuration has none",
        ),
    )
