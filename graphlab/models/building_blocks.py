"""Encoders and decoders that several image models share, the variables they have in common, and tiny versions.

Every tiny configuration keeps the topology of its big one and narrows it, so that it runs on a CPU in seconds.
"""

from __future__ import annotations

from graphlab.components import component_for
from graphlab.components.base import GUIDANCE_STOP, Config
from graphlab.models.registry import Model
from graphlab.workload import Stage, Variable, Workload

CALLS = "2 if guidance > 1 and step < guidance_stop * steps else 1"
"""Classifier-free guidance as the pipelines test it: `guidance_scale > 1`, once with and once without prompt, in
the first `guidance_stop` of the steps."""

ENCODED = "2 if guidance > 1 else 1"
"""The text encoder's calls: with guidance the negative prompt (empty by default) is encoded as well."""

# Source: openai/clip-vit-large-patch14, text_config of config.json; the same numbers stand in
# stable-diffusion-v1-5/stable-diffusion-v1-5, text_encoder/config.json
CLIP_L: Config = {
    "vocab_size": 49408,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "projection_dim": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "max_position_embeddings": 77,
    "hidden_act": "quick_gelu",
    "bos_token_id": 0,
    "eos_token_id": 2,
}

# Source: stabilityai/stable-diffusion-xl-base-1.0, text_encoder_2/config.json (OpenCLIP ViT-bigG/14)
OPENCLIP_BIGG: Config = {
    **CLIP_L,
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "projection_dim": 1280,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "hidden_act": "gelu",
}

# What SDXL, SD3 and aMUSEd ask of a text encoder: they read the last but one layer.
HIDDEN: Config = {"output_hidden_states": True}

# Source: google/t5-v1_1-xxl, config.json
T5_XXL: Config = {
    "vocab_size": 32128,
    "d_model": 4096,
    "d_kv": 64,
    "d_ff": 10240,
    "num_layers": 24,
    "num_heads": 64,
    "relative_attention_num_buckets": 32,
    "feed_forward_proj": "gated-gelu",
    "tie_word_embeddings": False,
}

# Source: stable-diffusion-v1-5/stable-diffusion-v1-5, vae/config.json
SD_VAE: Config = {
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "block_out_channels": [128, 256, 512, 512],
    "layers_per_block": 2,
    "latent_channels": 4,
    "sample_size": 512,
}

# Source: stabilityai/stable-diffusion-3-medium-diffusers and black-forest-labs/FLUX.1-dev, vae/config.json
VAE_16_CHANNELS: Config = {
    **SD_VAE,
    "latent_channels": 16,
    "sample_size": 1024,
    "use_quant_conv": False,
    "use_post_quant_conv": False,
}

TINY_CLIP: Config = {
    **CLIP_L,
    "vocab_size": 1000,
    "hidden_size": 32,
    "intermediate_size": 64,
    "projection_dim": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
TINY_T5: Config = {**T5_XXL, "vocab_size": 1000, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}
TINY_VAE: Config = {**SD_VAE, "block_out_channels": [32, 32, 64, 64], "layers_per_block": 1, "sample_size": 64}
TINY_VAE_16: Config = {**VAE_16_CHANNELS, **TINY_VAE, "latent_channels": 16}

CLIP_TOKENS = Variable("tokens", 77, "text tokens, padding included", maximum=77)


def image_size(side: int, multiple: int, maximum: int | None = None) -> tuple[Variable, Variable, Variable]:
    """height and width in pixels (default `side`, multiples of `multiple`) and batch."""
    sizes = [
        Variable(name, side, f"image {name} in pixels", minimum=multiple, maximum=maximum, multiple_of=multiple)
        for name in ("height", "width")
    ]
    return sizes[0], sizes[1], Variable("batch", 1, "images per generation")


def sampling(steps: int, guidance: float) -> tuple[Variable, ...]:
    """steps, the guidance scale, where above 1 a step and a prompt take two calls, and where guidance ends."""
    return (
        Variable("steps", steps, "denoising steps"),
        Variable("guidance", float(guidance), "guidance scale; above 1 every step makes two calls", minimum=0),
        GUIDANCE_STOP,
    )


def decoder_stage(config: Config, dtype: str) -> Stage:
    """AutoencoderKL's decoder, once, on all images."""
    return component_for("AutoencoderKL", config, dtype).stage("vae_decoder")


def _part(name: str, class_name: str, stage: str, config: Config, dtype: str) -> Workload:
    part = component_for(class_name, config, dtype)
    return Workload(name=name, source=name, stages=(part.stage(stage),), variables=part.variables)


def clip_l_text() -> Workload:
    """CLIP-L's text encoder alone: 77 tokens, float16."""
    return _part("clip-vit-l-14-text", "CLIPTextModel", "text_encoder", CLIP_L, "float16")


def t5_xxl_encoder() -> Workload:
    """T5-XXL's encoder alone: 256 tokens, bfloat16 as FLUX runs it."""
    return _part("t5-xxl-encoder", "T5EncoderModel", "text_encoder", T5_XXL, "bfloat16")


def kl_decoder() -> Workload:
    """Stable Diffusion's image decoder alone: 64 x 64 latents to 512 x 512 pixels, float16."""
    return _part("autoencoder-kl-decoder", "AutoencoderKL", "vae_decoder", SD_VAE, "float16")


MODELS = (
    Model("clip-vit-l-14-text", "CLIP ViT-L/14 text encoder, 77 tokens", clip_l_text, ("clip-l",), "text encoder"),
    Model("t5-xxl-encoder", "T5 v1.1 XXL encoder, 256 tokens", t5_xxl_encoder, ("t5-xxl",), "text encoder"),
    Model("autoencoder-kl-decoder", "Stable Diffusion's image decoder, 512 px", kl_decoder, ("sd-vae",), "decoder"),
)
