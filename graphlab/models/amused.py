"""aMUSEd at 256 and 512 pixels (an open Muse): CLIP-L, a masked token transformer, a VQ decoder.

Defaults are AmusedPipeline's: 12 steps, guidance 10. Every step predicts all tokens at once.
"""

from __future__ import annotations

from graphlab.components import component_for
from graphlab.components.base import Config
from graphlab.models.building_blocks import CALLS, CLIP_L, CLIP_TOKENS, ENCODED, HIDDEN, TINY_CLIP, image_size, sampling
from graphlab.models.registry import Model
from graphlab.workload import Workload

# Source: amused/amused-256, transformer/config.json; its numbers are UVit2DModel's own defaults
UVIT_256: Config = {
    "hidden_size": 1024,
    "num_hidden_layers": 22,
    "num_attention_heads": 16,
    "intermediate_size": 2816,
    "block_out_channels": 768,
    "block_num_heads": 12,
    "num_res_blocks": 3,
    "vocab_size": 8256,
    "codebook_size": 8192,
    "sample_size": 16,
}

# Source: amused/amused-512, transformer/config.json
UVIT_512: Config = {**UVIT_256, "sample_size": 32, "downsample": True, "upsample": True}

# Source: diffusers scripts/convert_amused.py, make_vqvae, which wrote amused/amused-256, vqvae/config.json
VQ: Config = {
    "block_out_channels": [128, 256, 256, 512, 768],
    "down_block_types": ["DownEncoderBlock2D"] * 5,
    "up_block_types": ["UpDecoderBlock2D"] * 5,
    "layers_per_block": 2,
    "latent_channels": 64,
    "num_vq_embeddings": 8192,
    "mid_block_add_attention": False,
    "lookup_from_codebook": True,
}

MASKED = "int(height // 16 * (width // 16) * math.cos(1.5707963267948966 * (step + 1) / steps))"
"""Tokens still masked after a step: the cosine schedule of AmusedScheduler."""

TINY_UVIT: Config = {
    **UVIT_256,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "in_channels": 32,
    "block_out_channels": 32,
    "block_num_heads": 4,
    "num_res_blocks": 1,
    "vocab_size": 80,
    "codebook_size": 64,
    "cond_embed_dim": 32,
    "encoder_hidden_size": 32,
    "micro_cond_encode_dim": 8,
    "micro_cond_embed_dim": 40,
    "sample_size": 8,
}
TINY_VQ: Config = {
    **VQ,
    "block_out_channels": [32, 32, 32, 64, 64],
    "layers_per_block": 1,
    "latent_channels": 16,
    "num_vq_embeddings": 64,
}


def _workload(name: str, text: Config, transformer: Config, vq: Config, dtype: str) -> Workload:
    text_encoder = component_for("CLIPTextModelWithProjection", {**text, **HIDDEN}, dtype)
    denoiser = component_for("UVit2DModel", transformer, dtype)
    decoder = component_for("VQModel", vq, dtype)
    multiple = 32 if transformer.get("downsample") else 16
    return Workload(
        name=name,
        source=name,
        stages=(
            text_encoder.stage("text_encoder", calls_per_step=ENCODED),
            denoiser.stage("transformer", steps="steps", calls_per_step=CALLS, step_bindings={"masked": MASKED}),
            decoder.stage("vq_decoder"),
        ),
        variables=(*image_size(int(transformer["sample_size"]) * 16, multiple), CLIP_TOKENS, *sampling(12, 10.0)),
        assumptions=(f"{dtype}: the pipeline's own example", "the decoder runs in the same type (no force_upcast)"),
    )


def amused_256() -> Workload:
    """256 x 256 pixels (16 x 16 tokens), float16, 12 steps with guidance 10."""
    return _workload("amused-256", CLIP_L, UVIT_256, VQ, "float16")


def amused_512() -> Workload:
    """512 x 512 pixels (32 x 32 tokens), float16, 12 steps with guidance 10."""
    return _workload("amused-512", CLIP_L, UVIT_512, VQ, "float16")


def amused_256_tiny() -> Workload:
    """The topology of amused-256 at 128 x 128 pixels, narrow, float32."""
    return _workload("amused-256-tiny", TINY_CLIP, TINY_UVIT, TINY_VQ, "float32")


def amused_512_tiny() -> Workload:
    """The topology of amused-512 at 128 x 128 pixels, narrow, float32."""
    transformer = {**TINY_UVIT, "downsample": True, "upsample": True}
    return _workload("amused-512-tiny", TINY_CLIP, transformer, TINY_VQ, "float32")


MODELS = (
    Model("amused-256", "masked token transformer, 256 px, 12 steps", amused_256, ("amused",)),
    Model("amused-512", "masked token transformer, 512 px, 12 steps", amused_512),
    Model("amused-256-tiny", "amused-256, narrow, 128 px", amused_256_tiny),
    Model("amused-512-tiny", "amused-512, narrow, 128 px", amused_512_tiny),
)
