"""FLUX.1 dev and schnell: CLIP-L's pooled text, T5-XXL, a transformer over packed latents, a 16-channel decoder.

Guidance is distilled: dev reads the scale as an input and schnell not at all, so every step is one call.
"""

from __future__ import annotations

from graphlab.components import component_for
from graphlab.components.base import Config
from graphlab.models.building_blocks import (
    CLIP_L,
    T5_XXL,
    TINY_CLIP,
    TINY_T5,
    TINY_VAE_16,
    VAE_16_CHANNELS,
    decoder_stage,
    image_size,
)
from graphlab.models.registry import Model
from graphlab.workload import TensorInput, Variable, Workload

# Source: black-forest-labs/FLUX.1-dev, transformer/config.json
DEV: Config = {
    "patch_size": 1,
    "in_channels": 64,
    "num_layers": 19,
    "num_single_layers": 38,
    "attention_head_dim": 128,
    "num_attention_heads": 24,
    "joint_attention_dim": 4096,
    "pooled_projection_dim": 768,
    "guidance_embeds": True,
}

# Source: black-forest-labs/FLUX.1-schnell, transformer/config.json
SCHNELL: Config = {**DEV, "guidance_embeds": False}

TINY: Config = {
    **DEV,
    "num_layers": 1,
    "num_single_layers": 2,
    "attention_head_dim": 16,
    "num_attention_heads": 2,
    "joint_attention_dim": 32,
    "pooled_projection_dim": 32,
    "axes_dims_rope": [4, 6, 6],
}

FULL: tuple[Config, Config, Config] = (CLIP_L, T5_XXL, VAE_16_CHANNELS)
NARROW: tuple[Config, Config, Config] = (TINY_CLIP, TINY_T5, TINY_VAE_16)


def _workload(
    name: str,
    transformer: Config,
    around: tuple[Config, Config, Config],
    dtype: str,
    side: int,
    tokens: int,
    steps: int,
) -> Workload:
    clip_config, t5_config, vae_config = around
    clip = component_for("CLIPTextModel", clip_config, dtype)
    t5 = component_for("T5EncoderModel", t5_config, dtype)
    denoiser = component_for("FluxTransformer2DModel", transformer, dtype)
    pooled = TensorInput(("batch", 77), "int64", role="tokens")
    guidance = Variable("guidance", 3.5, "guidance scale; an input of the transformer, no second call", minimum=0)
    notes: tuple[str, ...] = ("no negative prompt (true_cfg_scale 1): one call a step",)
    if not transformer["guidance_embeds"]:
        notes += ("4 steps and 256 text tokens: the model card's example",)
    return Workload(
        name=name,
        source=name,
        stages=(
            clip.stage("text_encoder", inputs={"input_ids": pooled}),
            t5.stage("text_encoder_2", inputs={"attention_mask": None}),
            denoiser.stage("transformer", steps="steps"),
            decoder_stage(vae_config, dtype),
        ),
        variables=(
            *image_size(side, 16),
            Variable("tokens", tokens, "T5 tokens, padding included", maximum=512),
            Variable("steps", steps, "denoising steps"),
            *((guidance,) if transformer["guidance_embeds"] else ()),
        ),
        assumptions=notes,
    )


def flux_1_dev() -> Workload:
    """1024 x 1024 pixels, bfloat16, 28 steps, distilled guidance 3.5, 512 text tokens."""
    return _workload("flux-1-dev", DEV, FULL, "bfloat16", 1024, 512, 28)


def flux_1_schnell() -> Workload:
    """1024 x 1024 pixels, bfloat16, 4 steps, no guidance, 256 text tokens."""
    return _workload("flux-1-schnell", SCHNELL, FULL, "bfloat16", 1024, 256, 4)


def flux_1_dev_tiny() -> Workload:
    """The topology of flux-1-dev at 128 x 128 pixels, narrow, float32."""
    return _workload("flux-1-dev-tiny", TINY, NARROW, "float32", 128, 32, 28)


def flux_1_schnell_tiny() -> Workload:
    """The topology of flux-1-schnell at 128 x 128 pixels, narrow, float32."""
    return _workload("flux-1-schnell-tiny", {**TINY, "guidance_embeds": False}, NARROW, "float32", 128, 32, 4)


MODELS = (
    Model("flux-1-dev", "joint transformer, 1024 px, 28 steps", flux_1_dev, ("flux", "flux-dev")),
    Model("flux-1-schnell", "joint transformer, 1024 px, 4 steps", flux_1_schnell, ("flux-schnell",)),
    Model("flux-1-dev-tiny", "flux-1-dev, narrow, 128 px", flux_1_dev_tiny),
    Model("flux-1-schnell-tiny", "flux-1-schnell, narrow, 128 px", flux_1_schnell_tiny),
)
