"""Wan 2.1 text-to-video: a UMT5 text encoder, a transformer with cross-attention over the steps, a causal autoencoder.

Defaults are WanPipeline's: 81 frames, 50 steps, guidance 5, 512 text tokens.
"""

from __future__ import annotations

from graphlab.components import component_for
from graphlab.components.base import Config
from graphlab.components.video import with_defaults
from graphlab.models.building_blocks import CALLS, ENCODED, sampling
from graphlab.models.registry import Model
from graphlab.workload import Workload

# Source: Wan-AI/Wan2.1-T2V-14B-Diffusers, transformer/config.json
CONFIG_14B: Config = {
    "patch_size": [1, 2, 2],
    "num_attention_heads": 40,
    "attention_head_dim": 128,
    "in_channels": 16,
    "out_channels": 16,
    "text_dim": 4096,
    "freq_dim": 256,
    "ffn_dim": 13824,
    "num_layers": 40,
    "cross_attn_norm": True,
    "qk_norm": "rms_norm_across_heads",
    "rope_max_seq_len": 1024,
}

# Source: Wan-AI/Wan2.1-T2V-1.3B-Diffusers, transformer/config.json
CONFIG_1_3B: Config = {**CONFIG_14B, "num_attention_heads": 12, "ffn_dim": 8960, "num_layers": 30}

# Source: Wan-AI/Wan2.1-T2V-1.3B-Diffusers, text_encoder/config.json (google/umt5-xxl)
UMT5_XXL: Config = {
    "vocab_size": 256384,
    "d_model": 4096,
    "d_kv": 64,
    "d_ff": 10240,
    "num_layers": 24,
    "num_heads": 64,
    "relative_attention_num_buckets": 32,
    "feed_forward_proj": "gated-gelu",
    "tie_word_embeddings": False,
}

# Source: Wan-AI/Wan2.1-T2V-1.3B-Diffusers, vae/config.json
VAE: Config = {
    "base_dim": 96,
    "z_dim": 16,
    "dim_mult": [1, 2, 4, 4],
    "num_res_blocks": 2,
    "attn_scales": [],
    "temperal_downsample": [False, True, True],
}

TINY: Config = {
    **CONFIG_1_3B,
    "num_attention_heads": 2,
    "attention_head_dim": 32,
    "text_dim": 32,
    "freq_dim": 32,
    "ffn_dim": 64,
    "num_layers": 2,
    "rope_max_seq_len": 128,
}
TINY_UMT5: Config = {
    **UMT5_XXL,
    "vocab_size": 1000,
    "d_model": 32,
    "d_kv": 8,
    "d_ff": 64,
    "num_layers": 2,
    "num_heads": 4,
}
TINY_VAE: Config = {**VAE, "base_dim": 4, "num_res_blocks": 1}
TINY_SIZE: dict[str, int | float] = {"height": 64, "width": 96, "frames": 9, "tokens": 16}


def _workload(
    name: str, text: Config, transformer: Config, vae: Config, dtype: str, sizes: dict[str, int | float]
) -> Workload:
    denoiser = component_for("WanTransformer3DModel", transformer, dtype)
    return Workload(
        name=name,
        source=name,
        stages=(
            component_for("UMT5EncoderModel", text, dtype).stage("text_encoder", calls_per_step=ENCODED),
            denoiser.stage("transformer", steps="steps", calls_per_step=CALLS),
            component_for("AutoencoderKLWan", vae, "float32").stage("vae_decoder"),
        ),
        variables=(*with_defaults(denoiser.variables, sizes), *sampling(50, 5.0)),
        assumptions=(
            f"{dtype}, the autoencoder in float32: the model card's example; 50 steps, guidance 5: WanPipeline's",
            "frames are 4k + 1; others are rounded down to it, as the pipeline does",
        ),
    )


def wan_1_3b() -> Workload:
    """81 frames of 480 x 832 pixels, bfloat16, 50 steps with guidance 5."""
    return _workload("wan-2-1-t2v-1.3b", UMT5_XXL, CONFIG_1_3B, VAE, "bfloat16", {})


def wan_14b() -> Workload:
    """81 frames of 720 x 1280 pixels, bfloat16, 50 steps with guidance 5."""
    size: dict[str, int | float] = {"height": 720, "width": 1280}
    return _workload("wan-2-1-t2v-14b", UMT5_XXL, CONFIG_14B, VAE, "bfloat16", size)


def wan_1_3b_tiny() -> Workload:
    """The topology of wan-2-1-t2v-1.3b with 9 frames of 64 x 96 pixels, narrow, float32."""
    return _workload("wan-2-1-t2v-1.3b-tiny", TINY_UMT5, TINY, TINY_VAE, "float32", TINY_SIZE)


def wan_14b_tiny() -> Workload:
    """The topology of wan-2-1-t2v-14b with 9 frames of 64 x 96 pixels, narrow, float32."""
    wider = {**TINY, "num_attention_heads": 3, "num_layers": 3}
    return _workload("wan-2-1-t2v-14b-tiny", TINY_UMT5, wider, TINY_VAE, "float32", TINY_SIZE)


MODELS = (
    Model(
        "wan-2-1-t2v-1.3b", "video transformer, 81 frames of 480 x 832", wan_1_3b, ("wan", "wan-1.3b"), "text-to-video"
    ),
    Model("wan-2-1-t2v-14b", "video transformer, 81 frames of 720 x 1280", wan_14b, ("wan-14b",), "text-to-video"),
    Model("wan-2-1-t2v-1.3b-tiny", "Wan 2.1's topology, narrow", wan_1_3b_tiny, (), "text-to-video"),
    Model("wan-2-1-t2v-14b-tiny", "Wan 2.1's topology, narrow", wan_14b_tiny, (), "text-to-video"),
)
