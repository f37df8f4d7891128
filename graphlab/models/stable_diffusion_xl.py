"""Stable Diffusion XL base and refiner: CLIP-L and bigG text encoders, a latent U-Net, a float32 decoder.

Defaults are those of StableDiffusionXLPipeline and StableDiffusionXLImg2ImgPipeline.
"""

from __future__ import annotations

from collections.abc import Mapping

from graphlab.components import component_for
from graphlab.components.base import Config
from graphlab.models.building_blocks import (
    CALLS,
    CLIP_L,
    CLIP_TOKENS,
    ENCODED,
    HIDDEN,
    OPENCLIP_BIGG,
    SD_VAE,
    TINY_CLIP,
    TINY_VAE,
    decoder_stage,
    image_size,
    sampling,
)
from graphlab.models.registry import Model
from graphlab.workload import Argument, Stage, TensorInput, Workload

# Source: stabilityai/stable-diffusion-xl-base-1.0, unet/config.json
UNET_BASE: Config = {
    "sample_size": 128,
    "block_out_channels": [320, 640, 1280],
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    "transformer_layers_per_block": [1, 2, 10],
    "attention_head_dim": [5, 10, 20],
    "cross_attention_dim": 2048,
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}

# Source: stabilityai/stable-diffusion-xl-refiner-1.0, unet/config.json
UNET_REFINER: Config = {
    **UNET_BASE,
    "block_out_channels": [384, 768, 1536, 1536],
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    "transformer_layers_per_block": 4,
    "attention_head_dim": [6, 12, 24, 24],
    "cross_attention_dim": 1280,
    "projection_class_embeddings_input_dim": 2560,
}

# Source: stabilityai/stable-diffusion-xl-base-1.0, vae/config.json (force_upcast)
VAE: Config = {**SD_VAE, "sample_size": 1024, "force_upcast": True}

TINY_UNET: Config = {
    **UNET_BASE,
    "sample_size": 16,
    "block_out_channels": [32, 64, 64],
    "layers_per_block": 1,
    "transformer_layers_per_block": [1, 1, 2],
    "attention_head_dim": [2, 4, 4],
    "cross_attention_dim": 64,
    "addition_time_embed_dim": 8,
    "projection_class_embeddings_input_dim": 80,
}

TINY_REFINER: Config = {
    **UNET_REFINER,
    "sample_size": 16,
    "block_out_channels": [32, 64, 64, 64],
    "layers_per_block": 1,
    "transformer_layers_per_block": 2,
    "attention_head_dim": [2, 4, 4, 4],
    "cross_attention_dim": 32,
    "addition_time_embed_dim": 8,
    "projection_class_embeddings_input_dim": 72,
}

# EulerDiscreteScheduler, this model's, keeps its timesteps as float32.
TIMESTEP: Mapping[str, Argument] = {"timestep": TensorInput((), "float32", role="timestep")}


def _text(name: str, class_name: str, config: Config, dtype: str, calls: int | str) -> Stage:
    return component_for(class_name, {**config, **HIDDEN}, dtype).stage(name, calls_per_step=calls)


def _base(name: str, configs: tuple[Config, Config, Config, Config], dtype: str) -> Workload:
    clip_l, bigg, unet, vae = configs
    denoiser = component_for("UNet2DConditionModel", unet, dtype)
    return Workload(
        name=name,
        source=name,
        stages=(
            _text("text_encoder", "CLIPTextModel", clip_l, dtype, 1),
            _text("text_encoder_2", "CLIPTextModelWithProjection", bigg, dtype, 1),
            denoiser.stage("unet", steps="steps", calls_per_step=CALLS, inputs=TIMESTEP),
            decoder_stage(vae, "float32"),
        ),
        variables=(*image_size(int(unet["sample_size"]) * 8, 8), CLIP_TOKENS, *sampling(50, 5.0)),
        assumptions=(
            f"{dtype}: the pipeline's own example; its decoder is upcast to float32 (force_upcast)",
            "no negative prompt is given: the pipeline puts zeros (force_zeros_for_empty_prompt), no second encoding",
        ),
    )


def stable_diffusion_xl() -> Workload:
    """1024 x 1024 pixels, float16 with a float32 decoder, 50 steps with guidance 5."""
    return _base("stable-diffusion-xl", (CLIP_L, OPENCLIP_BIGG, UNET_BASE, VAE), "float16")


def stable_diffusion_xl_tiny() -> Workload:
    """The topology of stable-diffusion-xl at 128 x 128 pixels, narrow, float32."""
    second = {**TINY_CLIP, "hidden_act": "gelu"}
    return _base("stable-diffusion-xl-tiny", (TINY_CLIP, second, TINY_UNET, TINY_VAE), "float32")


REFINED = "max(steps * 3 // 10, 1)"
"""Steps of the refiner at strength 0.3: the last three of ten."""

REFINED_CALLS = f"2 if guidance > 1 and steps - {REFINED} + step < guidance_stop * steps else 1"
"""As CALLS; the refiner's first step is not the first of the schedule."""


def _refiner(name: str, configs: tuple[Config, Config, Config], dtype: str) -> Workload:
    bigg, unet, vae = configs
    denoiser = component_for("UNet2DConditionModel", unet, dtype)
    return Workload(
        name=name,
        source=name,
        stages=(
            _text("text_encoder_2", "CLIPTextModelWithProjection", bigg, dtype, ENCODED),
            denoiser.stage("unet", steps=REFINED, calls_per_step=REFINED_CALLS, inputs=TIMESTEP),
            decoder_stage(vae, "float32"),
        ),
        variables=(*image_size(int(unet["sample_size"]) * 8, 8), CLIP_TOKENS, *sampling(50, 5.0)),
        assumptions=(
            f"{dtype}: the pipeline's own example; its decoder is upcast to float32 (force_upcast)",
            "strength 0.3, the pipeline's default: 3 of 10 steps run; it is given the base model's latents",
        ),
    )


def stable_diffusion_xl_refiner() -> Workload:
    """1024 x 1024 pixels, float16, the last 15 of 50 steps (strength 0.3) with guidance 5."""
    return _refiner("stable-diffusion-xl-refiner", (OPENCLIP_BIGG, UNET_REFINER, VAE), "float16")


def stable_diffusion_xl_refiner_tiny() -> Workload:
    """The topology of stable-diffusion-xl-refiner at 128 x 128 pixels, narrow, float32."""
    second = {**TINY_CLIP, "hidden_act": "gelu"}
    return _refiner("stable-diffusion-xl-refiner-tiny", (second, TINY_REFINER, TINY_VAE), "float32")


MODELS = (
    Model("stable-diffusion-xl", "latent diffusion, 1024 px, 50 steps", stable_diffusion_xl, ("sdxl",)),
    Model("stable-diffusion-xl-tiny", "stable-diffusion-xl, narrow, 128 px", stable_diffusion_xl_tiny),
    Model("stable-diffusion-xl-refiner", "XL's second model, 1024 px", stable_diffusion_xl_refiner, ("sdxl-refiner",)),
    Model("stable-diffusion-xl-refiner-tiny", "stable-diffusion-xl-refiner, narrow", stable_diffusion_xl_refiner_tiny),
)
