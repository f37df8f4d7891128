"""LTX-Video: a T5 text encoder, a transformer over few, deeply compressed tokens, a causal 3D autoencoder.

Defaults are LTXPipeline's: 161 frames of 512 x 704 pixels, 50 steps, guidance 3, 128 text tokens.
"""

from __future__ import annotations

from graphlab.components import component_for
from graphlab.components.base import Config
from graphlab.components.video import with_defaults
from graphlab.models.building_blocks import CALLS, ENCODED, T5_XXL, TINY_T5, sampling
from graphlab.models.registry import Model
from graphlab.workload import Workload

# Source: Lightricks/LTX-Video, transformer/config.json
TRANSFORMER: Config = {
    "in_channels": 128,
    "out_channels": 128,
    "patch_size": 1,
    "patch_size_t": 1,
    "num_attention_heads": 32,
    "attention_head_dim": 64,
    "cross_attention_dim": 2048,
    "num_layers": 28,
    "caption_channels": 4096,
}

# Source: Lightricks/LTX-Video, vae/config.json (0.9.0: decoding takes no timestep)
VAE: Config = {
    "latent_channels": 128,
    "block_out_channels": [128, 256, 512, 512],
    "decoder_block_out_channels": [128, 256, 512, 512],
    "layers_per_block": [4, 3, 3, 3, 4],
    "decoder_layers_per_block": [4, 3, 3, 3, 4],
    "spatio_temporal_scaling": [True, True, True, False],
    "decoder_spatio_temporal_scaling": [True, True, True, False],
    "patch_size": 4,
    "patch_size_t": 1,
    "timestep_conditioning": False,
}

TINY: Config = {
    **TRANSFORMER,
    "in_channels": 8,
    "out_channels": 8,
    "num_attention_heads": 2,
    "attention_head_dim": 24,
    "cross_attention_dim": 48,
    "num_layers": 2,
    "caption_channels": 32,
}
TINY_VAE: Config = {
    **VAE,
    "latent_channels": 8,
    "block_out_channels": [8, 8, 16, 16],
    "decoder_block_out_channels": [8, 8, 16, 16],
    "layers_per_block": [1, 1, 1, 1, 1],
    "decoder_layers_per_block": [1, 1, 1, 1, 1],
}


def _workload(
    name: str, text: Config, transformer: Config, vae: Config, dtype: str, sizes: dict[str, int | float]
) -> Workload:
    denoiser = component_for("LTXVideoTransformer3DModel", transformer, dtype)
    return Workload(
        name=name,
        source=name,
        stages=(
            component_for("T5EncoderModel", text, dtype).stage(
                "text_encoder", calls_per_step=ENCODED, inputs={"attention_mask": None}
            ),
            denoiser.stage("transformer", steps="steps", calls_per_step=CALLS),
            component_for("AutoencoderKLLTXVideo", vae, dtype).stage("vae_decoder"),
        ),
        variables=(*with_defaults(denoiser.variables, sizes), *sampling(50, 3.0)),
        assumptions=(
            f"{dtype}: the model card's example; sizes, 50 steps and guidance 3: the pipeline's defaults",
            "frames are 8k + 1; others are rounded down to it, as the pipeline's latent size is",
        ),
    )


def ltx_video() -> Workload:
    """161 frames of 512 x 704 pixels, bfloat16, 50 steps with guidance 3."""
    return _workload("ltx-video", T5_XXL, TRANSFORMER, VAE, "bfloat16", {})


def ltx_video_tiny() -> Workload:
    """The topology of ltx-video with 17 frames of 64 x 96 pixels, narrow, float32."""
    size: dict[str, int | float] = {"height": 64, "width": 96, "frames": 17, "tokens": 16}
    return _workload("ltx-video-tiny", TINY_T5, TINY, TINY_VAE, "float32", size)


MODELS = (
    Model("ltx-video", "video transformer, 161 frames of 512 x 704", ltx_video, ("ltx",), "text-to-video"),
    Model("ltx-video-tiny", "LTX-Video's topology, narrow", ltx_video_tiny, (), "text-to-video"),
)
