"""PixArt-alpha XL/2 at 512 and 1024 pixels: T5-XXL, a latent transformer, Stable Diffusion's decoder.

Defaults are PixArtAlphaPipeline's: 20 steps, guidance 4.5, 120 text tokens.
"""

from __future__ import annotations

from graphlab.components import component_for
from graphlab.components.base import Config
from graphlab.models.building_blocks import (
    CALLS,
    ENCODED,
    SD_VAE,
    T5_XXL,
    TINY_T5,
    TINY_VAE,
    decoder_stage,
    image_size,
    sampling,
)
from graphlab.models.registry import Model
from graphlab.workload import Variable, Workload

# Source: PixArt-alpha/PixArt-XL-2-1024-MS, transformer/config.json
XL_2_1024: Config = {
    "sample_size": 128,
    "patch_size": 2,
    "in_channels": 4,
    "out_channels": 8,
    "num_layers": 28,
    "attention_head_dim": 72,
    "num_attention_heads": 16,
    "cross_attention_dim": 1152,
    "caption_channels": 4096,
}

# Source: PixArt-alpha/PixArt-XL-2-512x512, transformer/config.json
XL_2_512: Config = {**XL_2_1024, "sample_size": 64}

# use_additional_conditions is what the class turns on by itself at sample_size 128.
TINY: Config = {
    **XL_2_1024,
    "sample_size": 16,
    "num_layers": 2,
    "attention_head_dim": 12,
    "num_attention_heads": 4,
    "cross_attention_dim": 48,
    "caption_channels": 32,
    "use_additional_conditions": True,
}


def _workload(name: str, t5: Config, transformer: Config, vae: Config, dtype: str) -> Workload:
    text_encoder = component_for("T5EncoderModel", t5, dtype)
    denoiser = component_for("PixArtTransformer2DModel", transformer, dtype)
    return Workload(
        name=name,
        source=name,
        stages=(
            text_encoder.stage("text_encoder", calls_per_step=ENCODED),
            denoiser.stage("transformer", steps="steps", calls_per_step=CALLS),
            decoder_stage(vae, dtype),
        ),
        variables=(
            *image_size(int(transformer["sample_size"]) * 8, 16),
            Variable("tokens", 120, "T5 tokens, padding included"),
            *sampling(20, 4.5),
        ),
        assumptions=(
            f"{dtype}: the pipeline's own example",
            "use_resolution_binning would move other sizes to the nearest trained one; they are taken as asked",
        ),
    )


def pixart_alpha_xl_2_1024() -> Workload:
    """1024 x 1024 pixels, float16, 20 steps with guidance 4.5, 120 text tokens."""
    return _workload("pixart-alpha-xl-2-1024", T5_XXL, XL_2_1024, {**SD_VAE, "sample_size": 256}, "float16")


def pixart_alpha_xl_2_512() -> Workload:
    """512 x 512 pixels, float16, 20 steps with guidance 4.5, 120 text tokens."""
    return _workload("pixart-alpha-xl-2-512", T5_XXL, XL_2_512, {**SD_VAE, "sample_size": 256}, "float16")


def pixart_alpha_xl_2_1024_tiny() -> Workload:
    """The topology of pixart-alpha-xl-2-1024 at 128 x 128 pixels, narrow, float32."""
    return _workload("pixart-alpha-xl-2-1024-tiny", TINY_T5, TINY, TINY_VAE, "float32")


def pixart_alpha_xl_2_512_tiny() -> Workload:
    """The topology of pixart-alpha-xl-2-512 at 128 x 128 pixels, narrow, float32."""
    transformer = {**TINY, "use_additional_conditions": False}
    return _workload("pixart-alpha-xl-2-512-tiny", TINY_T5, transformer, TINY_VAE, "float32")


MODELS = (
    Model("pixart-alpha-xl-2-1024", "latent transformer, 1024 px, 20 steps", pixart_alpha_xl_2_1024, ("pixart",)),
    Model("pixart-alpha-xl-2-512", "latent transformer, 512 px, 20 steps", pixart_alpha_xl_2_512),
    Model("pixart-alpha-xl-2-1024-tiny", "pixart-alpha-xl-2-1024, narrow, 128 px", pixart_alpha_xl_2_1024_tiny),
    Model("pixart-alpha-xl-2-512-tiny", "pixart-alpha-xl-2-512, narrow, 128 px", pixart_alpha_xl_2_512_tiny),
)
