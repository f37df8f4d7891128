"""Stable Diffusion 1.5 and 2.1: a CLIP text encoder, a latent U-Net over the steps, an image decoder.

Defaults are StableDiffusionPipeline's: 50 steps, guidance 7.5, sample_size times 8 pixels, 77 tokens.
"""

from __future__ import annotations

from graphlab.components import component_for
from graphlab.components.base import Config
from graphlab.models.building_blocks import (
    CALLS,
    CLIP_L,
    CLIP_TOKENS,
    ENCODED,
    SD_VAE,
    TINY_CLIP,
    TINY_VAE,
    decoder_stage,
    image_size,
    sampling,
)
from graphlab.models.registry import Model
from graphlab.workload import Workload

# Source: stable-diffusion-v1-5/stable-diffusion-v1-5, unet/config.json
UNET_V1: Config = {"cross_attention_dim": 768, "attention_head_dim": 8, "sample_size": 64}

# Source: stabilityai/stable-diffusion-2-1, unet/config.json
UNET_V2: Config = {
    "cross_attention_dim": 1024,
    "attention_head_dim": [5, 10, 20, 20],
    "use_linear_projection": True,
    "sample_size": 96,
}

# Source: stabilityai/stable-diffusion-2-1, text_encoder/config.json (OpenCLIP ViT-H/14 without its last layer)
OPENCLIP_H: Config = {
    **CLIP_L,
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "projection_dim": 512,
    "num_hidden_layers": 23,
    "num_attention_heads": 16,
    "hidden_act": "gelu",
}

TINY_UNET: Config = {"block_out_channels": [32, 64, 64, 64], "layers_per_block": 1, "sample_size": 16}
TINY_V1: Config = {**UNET_V1, **TINY_UNET, "cross_attention_dim": 32, "attention_head_dim": 4}
TINY_V2: Config = {**UNET_V2, **TINY_UNET, "cross_attention_dim": 32, "attention_head_dim": [2, 4, 4, 4]}


def _workload(name: str, text: Config, unet: Config, vae: Config, dtype: str = "float16") -> Workload:
    text_encoder = component_for("CLIPTextModel", text, dtype)
    denoiser = component_for("UNet2DConditionModel", unet, dtype)
    return Workload(
        name=name,
        source=name,
        stages=(
            text_encoder.stage("text_encoder", calls_per_step=ENCODED),
            denoiser.stage("unet", steps="steps", calls_per_step=CALLS),
            decoder_stage(vae, dtype),
        ),
        variables=(*image_size(int(unet["sample_size"]) * 8, 8), CLIP_TOKENS, *sampling(50, 7.5)),
        assumptions=(f"{dtype}: the pipeline's own example; published weights are float32 as well",),
    )


def stable_diffusion_v1_5() -> Workload:
    """512 x 512 pixels, float16, 50 steps with guidance 7.5."""
    return _workload("stable-diffusion-v1-5", CLIP_L, UNET_V1, SD_VAE)


def stable_diffusion_2_1() -> Workload:
    """768 x 768 pixels, float16, 50 steps with guidance 7.5; text from OpenCLIP ViT-H/14."""
    return _workload("stable-diffusion-2-1", OPENCLIP_H, UNET_V2, {**SD_VAE, "sample_size": 768})


def stable_diffusion_v1_5_tiny() -> Workload:
    """The topology of stable-diffusion-v1-5 at 128 x 128 pixels, narrow, float32."""
    return _workload("stable-diffusion-v1-5-tiny", TINY_CLIP, TINY_V1, TINY_VAE, "float32")


def stable_diffusion_2_1_tiny() -> Workload:
    """The topology of stable-diffusion-2-1 at 128 x 128 pixels, narrow, float32."""
    return _workload("stable-diffusion-2-1-tiny", {**TINY_CLIP, "hidden_act": "gelu"}, TINY_V2, TINY_VAE, "float32")


MODELS = (
    Model("stable-diffusion-v1-5", "latent diffusion, 512 px, 50 steps", stable_diffusion_v1_5, ("sd15", "sd1.5")),
    Model("stable-diffusion-2-1", "latent diffusion, 768 px, 50 steps", stable_diffusion_2_1, ("sd21", "sd2.1")),
    Model("stable-diffusion-v1-5-tiny", "stable-diffusion-v1-5, narrow, 128 px", stable_diffusion_v1_5_tiny),
    Model("stable-diffusion-2-1-tiny", "stable-diffusion-2-1, narrow, 128 px", stable_diffusion_2_1_tiny),
)
