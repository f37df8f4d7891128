"""HunyuanVideo: a Llama and a CLIP text encoder, a transformer with joint attention over the steps, a 3D autoencoder.

Defaults are HunyuanVideoPipeline's: 129 frames of 720 x 1280 pixels, 50 steps, embedded guidance 6, 256 tokens.
"""

from __future__ import annotations

from graphlab.components import component_for
from graphlab.components.base import Config
from graphlab.components.hunyuan_video import TEMPLATE_TOKENS
from graphlab.components.video import with_defaults
from graphlab.models.building_blocks import CLIP_L, TINY_CLIP
from graphlab.models.registry import Model
from graphlab.workload import TensorInput, Variable, Workload

# Source: hunyuanvideo-community/HunyuanVideo, transformer/config.json
TRANSFORMER: Config = {
    "in_channels": 16,
    "out_channels": 16,
    "num_attention_heads": 24,
    "attention_head_dim": 128,
    "num_layers": 20,
    "num_single_layers": 40,
    "num_refiner_layers": 2,
    "mlp_ratio": 4.0,
    "patch_size": 2,
    "patch_size_t": 1,
    "guidance_embeds": True,
    "text_embed_dim": 4096,
    "pooled_projection_dim": 768,
    "rope_axes_dim": [16, 56, 56],
}

# Source: hunyuanvideo-community/HunyuanVideo, text_encoder/config.json (the language part of LLaVA-Llama-3-8B)
LLAMA_3_8B: Config = {
    "vocab_size": 128320,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-5,
    "rope_theta": 500000.0,
}

# Source: hunyuanvideo-community/HunyuanVideo, vae/config.json
VAE: Config = {
    "block_out_channels": [128, 256, 512, 512],
    "layers_per_block": 2,
    "latent_channels": 16,
    "norm_num_groups": 32,
    "spatial_compression_ratio": 8,
    "temporal_compression_ratio": 4,
    "mid_block_add_attention": True,
}

TINY: Config = {
    **TRANSFORMER,
    "num_attention_heads": 2,
    "attention_head_dim": 16,
    "num_layers": 1,
    "num_single_layers": 2,
    "num_refiner_layers": 1,
    "text_embed_dim": 32,
    "pooled_projection_dim": 32,
    "rope_axes_dim": [4, 6, 6],
}
TINY_LLAMA: Config = {
    **LLAMA_3_8B,
    "vocab_size": 1000,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
TINY_VAE: Config = {**VAE, "block_out_channels": [8, 8, 16, 16], "layers_per_block": 1, "norm_num_groups": 4}

CALLS = "2 if true_cfg > 1 else 1"
FULL: tuple[Config, Config, Config, Config] = (LLAMA_3_8B, CLIP_L, TRANSFORMER, VAE)
NARROW: tuple[Config, Config, Config, Config] = (TINY_LLAMA, TINY_CLIP, TINY, TINY_VAE)


def _workload(
    name: str,
    configs: tuple[Config, Config, Config, Config],
    dtypes: tuple[str, str],
    sizes: dict[str, int | float],
) -> Workload:
    llama, clip, transformer, vae = configs
    dtype, around = dtypes
    denoiser = component_for("HunyuanVideoTransformer3DModel", transformer, dtype)
    prompt = TensorInput(("batch", f"tokens + {TEMPLATE_TOKENS}"), "int64", role="tokens")
    return Workload(
        name=name,
        source=name,
        stages=(
            component_for("LlamaModel", llama, around).stage(
                "text_encoder", calls_per_step=CALLS, inputs={"input_ids": prompt, "attention_mask": prompt}
            ),
            component_for("CLIPTextModel", clip, around).stage(
                "text_encoder_2",
                calls_per_step=CALLS,
                inputs={"input_ids": TensorInput(("batch", 77), "int64", role="tokens")},
            ),
            denoiser.stage("transformer", steps="steps", calls_per_step=CALLS),
            component_for("AutoencoderKLHunyuanVideo", vae, around).stage("vae_decoder"),
        ),
        variables=(
            *with_defaults(denoiser.variables, sizes),
            Variable("steps", 50, "denoising steps"),
            Variable(
                "guidance", 6.0, "embedded guidance scale; an input of the transformer, no second call", minimum=0
            ),
            Variable("true_cfg", 1.0, "true guidance scale; above 1, with a negative prompt, calls double", minimum=0),
        ),
        assumptions=(
            f"transformer in {dtype}, the rest in {around}: the model card's example; the rest of the defaults: "
            "HunyuanVideoPipeline's",
            "frames are 4k + 1; others are rounded down to it, as the pipeline's latent size is",
        ),
    )


def hunyuan_video() -> Workload:
    """129 frames of 720 x 1280 pixels, bfloat16, 50 steps with embedded guidance 6."""
    return _workload("hunyuan-video", FULL, ("bfloat16", "float16"), {})


def hunyuan_video_tiny() -> Workload:
    """The topology of hunyuan-video with 25 frames of 64 x 96 pixels, narrow, float32."""
    sizes: dict[str, int | float] = {"height": 64, "width": 96, "frames": 25, "tokens": 16}
    return _workload("hunyuan-video-tiny", NARROW, ("float32", "float32"), sizes)


MODELS = (
    Model("hunyuan-video", "video transformer, 129 frames of 720 x 1280", hunyuan_video, ("hunyuan",), "text-to-video"),
    Model("hunyuan-video-tiny", "HunyuanVideo's topology, narrow", hunyuan_video_tiny, (), "text-to-video"),
)
