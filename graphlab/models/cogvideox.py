"""CogVideoX: a T5 text encoder, a joint-attention transformer over the steps, a causal 3D autoencoder.

Defaults are CogVideoXPipeline's: sample sizes of the transformer, 50 steps, guidance 6, 226 text tokens.
"""

from __future__ import annotations

from graphlab.components import component_for
from graphlab.components.base import Config
from graphlab.components.video import with_defaults
from graphlab.models.building_blocks import CALLS, ENCODED, T5_XXL, TINY_T5, sampling
from graphlab.models.registry import Model
from graphlab.workload import Workload

# Source: zai-org/CogVideoX-2b (THUDM before), transformer/config.json
CONFIG_2B: Config = {
    "num_attention_heads": 30,
    "attention_head_dim": 64,
    "num_layers": 30,
    "in_channels": 16,
    "out_channels": 16,
    "time_embed_dim": 512,
    "text_embed_dim": 4096,
    "max_text_seq_length": 226,
    "sample_width": 90,
    "sample_height": 60,
    "sample_frames": 49,
    "patch_size": 2,
    "temporal_compression_ratio": 4,
    "use_rotary_positional_embeddings": False,
}

# Source: zai-org/CogVideoX-5b, transformer/config.json
CONFIG_5B: Config = {
    **CONFIG_2B,
    "num_attention_heads": 48,
    "num_layers": 42,
    "use_rotary_positional_embeddings": True,
}

# Source: zai-org/CogVideoX-2b, vae/config.json
VAE: Config = {
    "block_out_channels": [128, 256, 256, 512],
    "latent_channels": 16,
    "layers_per_block": 3,
    "norm_num_groups": 32,
    "temporal_compression_ratio": 4,
    "sample_height": 480,
    "sample_width": 720,
}

NARROW: Config = {
    "num_attention_heads": 2,
    "attention_head_dim": 32,
    "num_layers": 2,
    "time_embed_dim": 32,
    "text_embed_dim": 32,
    "max_text_seq_length": 16,
    "sample_width": 12,
    "sample_height": 8,
    "sample_frames": 9,
}
TINY_2B: Config = {**CONFIG_2B, **NARROW}
TINY_5B: Config = {**CONFIG_5B, **NARROW}
TINY_VAE: Config = {
    **VAE,
    "block_out_channels": [8, 8, 16, 16],
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "sample_height": 64,
    "sample_width": 96,
}


def _workload(name: str, text: Config, transformer: Config, vae: Config, dtype: str) -> Workload:
    denoiser = component_for("CogVideoXTransformer3DModel", transformer, dtype)
    return Workload(
        name=name,
        source=name,
        stages=(
            component_for("T5EncoderModel", text, dtype).stage(
                "text_encoder", calls_per_step=ENCODED, inputs={"attention_mask": None}
            ),
            denoiser.stage("transformer", steps="steps", calls_per_step=CALLS),
            component_for("AutoencoderKLCogVideoX", vae, dtype).stage("vae_decoder"),
        ),
        variables=(*with_defaults(denoiser.variables, {}), *sampling(50, 6.0)),
        assumptions=(
            f"{dtype}: the model card's example; 50 steps and guidance 6: the pipeline's defaults",
            "frames are 4k + 1; others are rounded down to it, as the pipeline's latent size is",
        ),
    )


def cogvideox_2b() -> Workload:
    """49 frames of 480 x 720 pixels, float16, 50 steps with guidance 6."""
    return _workload("cogvideox-2b", T5_XXL, CONFIG_2B, VAE, "float16")


def cogvideox_5b() -> Workload:
    """49 frames of 480 x 720 pixels, bfloat16, 50 steps with guidance 6, rotary positions."""
    return _workload("cogvideox-5b", T5_XXL, CONFIG_5B, VAE, "bfloat16")


def cogvideox_2b_tiny() -> Workload:
    """The topology of cogvideox-2b with 9 frames of 64 x 96 pixels, narrow, float32."""
    return _workload("cogvideox-2b-tiny", TINY_T5, TINY_2B, TINY_VAE, "float32")


def cogvideox_5b_tiny() -> Workload:
    """The topology of cogvideox-5b with 9 frames of 64 x 96 pixels, narrow, float32."""
    return _workload("cogvideox-5b-tiny", TINY_T5, TINY_5B, TINY_VAE, "float32")


MODELS = (
    Model("cogvideox-2b", "video transformer, 49 frames of 480 x 720", cogvideox_2b, ("cogvideox",), "text-to-video"),
    Model("cogvideox-5b", "video transformer, 49 frames of 480 x 720", cogvideox_5b, (), "text-to-video"),
    Model("cogvideox-2b-tiny", "CogVideoX-2B's topology, narrow", cogvideox_2b_tiny, (), "text-to-video"),
    Model("cogvideox-5b-tiny", "CogVideoX-5B's topology, narrow", cogvideox_5b_tiny, (), "text-to-video"),
)
