"""Stable Diffusion 3 medium and 3.5 large: two CLIP encoders, T5-XXL, a joint transformer, a 16-channel decoder.

Defaults are StableDiffusion3Pipeline's: 28 steps, guidance 7, 1024 pixels, 256 T5 tokens after 77 CLIP tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from graphlab.components import component_for
from graphlab.components.base import Config
from graphlab.models.building_blocks import (
    CALLS,
    CLIP_L,
    ENCODED,
    HIDDEN,
    OPENCLIP_BIGG,
    T5_XXL,
    TINY_CLIP,
    TINY_T5,
    TINY_VAE_16,
    VAE_16_CHANNELS,
    decoder_stage,
    image_size,
    sampling,
)
from graphlab.models.registry import Model
from graphlab.workload import Argument, Stage, TensorInput, Variable, Workload

# Source: stabilityai/stable-diffusion-3-medium-diffusers, transformer/config.json
MEDIUM: Config = {
    "sample_size": 128,
    "patch_size": 2,
    "in_channels": 16,
    "out_channels": 16,
    "num_layers": 24,
    "attention_head_dim": 64,
    "num_attention_heads": 24,
    "joint_attention_dim": 4096,
    "caption_projection_dim": 1536,
    "pooled_projection_dim": 2048,
    "pos_embed_max_size": 192,
}

# Source: stabilityai/stable-diffusion-3.5-large, transformer/config.json
LARGE_3_5: Config = {
    **MEDIUM,
    "num_layers": 38,
    "num_attention_heads": 38,
    "caption_projection_dim": 2432,
    "qk_norm": "rms_norm",
}

TINY: Config = {
    **MEDIUM,
    "sample_size": 16,
    "num_layers": 2,
    "attention_head_dim": 8,
    "num_attention_heads": 4,
    "joint_attention_dim": 32,
    "caption_projection_dim": 32,
    "pooled_projection_dim": 64,
    "pos_embed_max_size": 24,
}


@dataclass(frozen=True, slots=True)
class Parts:
    """Configurations of the five modules."""

    clip_l: Config
    bigg: Config
    t5: Config
    transformer: Config
    vae: Config


# Every tokenizer pads to its fixed length: 77 for both CLIP encoders, whatever `tokens` (T5's) is.
CLIP_INPUTS: Mapping[str, Argument] = {"input_ids": TensorInput(("batch", 77), "int64", role="tokens")}


def _clip(name: str, config: Config, dtype: str) -> Stage:
    encoder = component_for("CLIPTextModelWithProjection", {**config, **HIDDEN}, dtype)
    return encoder.stage(name, calls_per_step=ENCODED, inputs=CLIP_INPUTS)


def _workload(name: str, parts: Parts, dtype: str) -> Workload:
    t5 = component_for("T5EncoderModel", parts.t5, dtype)
    transformer = component_for("SD3Transformer2DModel", parts.transformer, dtype)
    largest = int(parts.transformer["pos_embed_max_size"]) * 16
    return Workload(
        name=name,
        source=name,
        stages=(
            _clip("text_encoder", parts.clip_l, dtype),
            _clip("text_encoder_2", parts.bigg, dtype),
            t5.stage("text_encoder_3", calls_per_step=ENCODED, inputs={"attention_mask": None}),
            transformer.stage("transformer", steps="steps", calls_per_step=CALLS),
            decoder_stage(parts.vae, dtype),
        ),
        variables=(
            *image_size(int(parts.transformer["sample_size"]) * 8, 16, largest),
            Variable("tokens", 256, "T5 tokens, padding included; 77 CLIP tokens come before", maximum=512),
            *sampling(28, 7.0),
        ),
        assumptions=(f"{dtype}: the published example's",),
    )


def stable_diffusion_3_medium() -> Workload:
    """1024 x 1024 pixels, float16, 28 steps with guidance 7, 333 text tokens."""
    parts = Parts(CLIP_L, OPENCLIP_BIGG, T5_XXL, MEDIUM, VAE_16_CHANNELS)
    return _workload("stable-diffusion-3-medium", parts, "float16")


def stable_diffusion_3_5_large() -> Workload:
    """1024 x 1024 pixels, bfloat16, 28 steps with guidance 7, 333 text tokens."""
    parts = Parts(CLIP_L, OPENCLIP_BIGG, T5_XXL, LARGE_3_5, VAE_16_CHANNELS)
    return _workload("stable-diffusion-3-5-large", parts, "bfloat16")


def stable_diffusion_3_medium_tiny() -> Workload:
    """The topology of stable-diffusion-3-medium at 128 x 128 pixels, narrow, float32."""
    parts = Parts(TINY_CLIP, {**TINY_CLIP, "hidden_act": "gelu"}, TINY_T5, TINY, TINY_VAE_16)
    return _workload("stable-diffusion-3-medium-tiny", parts, "float32")


def stable_diffusion_3_5_large_tiny() -> Workload:
    """The topology of stable-diffusion-3-5-large at 128 x 128 pixels, narrow, float32."""
    transformer = {**TINY, "qk_norm": "rms_norm"}
    parts = Parts(TINY_CLIP, {**TINY_CLIP, "hidden_act": "gelu"}, TINY_T5, transformer, TINY_VAE_16)
    return _workload("stable-diffusion-3-5-large-tiny", parts, "float32")


MODELS = (
    Model("stable-diffusion-3-medium", "joint transformer, 1024 px, 28 steps", stable_diffusion_3_medium, ("sd3",)),
    Model("stable-diffusion-3-5-large", "joint transformer, 1024 px, 28 steps", stable_diffusion_3_5_large, ("sd35",)),
    Model("stable-diffusion-3-medium-tiny", "stable-diffusion-3-medium, narrow", stable_diffusion_3_medium_tiny),
    Model("stable-diffusion-3-5-large-tiny", "stable-diffusion-3-5-large, narrow", stable_diffusion_3_5_large_tiny),
)
