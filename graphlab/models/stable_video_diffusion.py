"""Stable Video Diffusion: one image through CLIP and the autoencoder, a U-Net over the steps, a temporal decoder.

Defaults are StableVideoDiffusionPipeline's: 576 x 1024 pixels, 25 steps, guidance from 1 to 3 over the frames.
"""

from __future__ import annotations

from graphlab.components import component_for
from graphlab.components.base import Config
from graphlab.components.video import with_defaults
from graphlab.components.video_autoencoders import image_encoder
from graphlab.models.building_blocks import CALLS, sampling
from graphlab.models.registry import Model
from graphlab.workload import Workload

# Source: stabilityai/stable-video-diffusion-img2vid, unet/config.json
UNET: Config = {
    "sample_size": 96,
    "in_channels": 8,
    "out_channels": 4,
    "block_out_channels": [320, 640, 1280, 1280],
    "layers_per_block": 2,
    "cross_attention_dim": 1024,
    "num_attention_heads": [5, 10, 20, 20],
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 768,
    "num_frames": 14,
}

# Source: stabilityai/stable-video-diffusion-img2vid-xt, unet/config.json
UNET_XT: Config = {**UNET, "num_frames": 25}

# Source: stabilityai/stable-video-diffusion-img2vid, vae/config.json
VAE: Config = {
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "block_out_channels": [128, 256, 512, 512],
    "layers_per_block": 2,
    "latent_channels": 4,
    "sample_size": 768,
    "force_upcast": True,
}

# Source: stabilityai/stable-video-diffusion-img2vid, image_encoder/config.json (OpenCLIP ViT-H/14)
VISION: Config = {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "projection_dim": 1024,
    "num_hidden_layers": 32,
    "num_attention_heads": 16,
    "image_size": 224,
    "patch_size": 14,
    "hidden_act": "gelu",
}

TINY: Config = {
    **UNET,
    "block_out_channels": [32, 64, 64, 64],
    "layers_per_block": 1,
    "cross_attention_dim": 32,
    "num_attention_heads": [2, 4, 4, 4],
    "addition_time_embed_dim": 32,
    "projection_class_embeddings_input_dim": 96,
    "num_frames": 4,
}
# Two layers: with one, the temporal decoder runs no attention.
TINY_VAE: Config = {**VAE, "block_out_channels": [32, 32, 64, 64]}
TINY_VISION: Config = {
    **VISION,
    "hidden_size": 32,
    "intermediate_size": 64,
    "projection_dim": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 28,
}


def _workload(
    name: str, vision: Config, unet: Config, vae: Config, dtype: str, size: tuple[int, int] = (576, 1024)
) -> Workload:
    denoiser = component_for("UNetSpatioTemporalConditionModel", unet, dtype)
    sizes = {"height": size[0], "width": size[1]}
    return Workload(
        name=name,
        source=name,
        stages=(
            component_for("CLIPVisionModelWithProjection", vision, dtype).stage("image_encoder"),
            # force_upcast: the pipeline moves a float16 autoencoder to float32 to encode, and back to decode.
            image_encoder(vae, "float32").stage("vae_encoder"),
            denoiser.stage("unet", steps="steps", calls_per_step=CALLS),
            component_for("AutoencoderKLTemporalDecoder", vae, dtype).stage("vae_decoder"),
        ),
        variables=(*with_defaults(denoiser.variables, sizes), *sampling(25, 3.0)),
        assumptions=(
            f"{dtype}: the model card's example; 25 steps and 576 x 1024 pixels: the pipeline's defaults",
            "guidance is max_guidance_scale, which decides the calls; the unconditional image costs no encoder call",
            "the decoder takes all frames of a video at once (decode_chunk_size); the card's example takes 8",
        ),
    )


def stable_video_diffusion() -> Workload:
    """14 frames of 576 x 1024 pixels, float16, 25 steps with guidance up to 3."""
    return _workload("stable-video-diffusion", VISION, UNET, VAE, "float16")


def stable_video_diffusion_xt() -> Workload:
    """25 frames of 576 x 1024 pixels, float16, 25 steps with guidance up to 3."""
    return _workload("stable-video-diffusion-xt", VISION, UNET_XT, VAE, "float16")


def stable_video_diffusion_tiny() -> Workload:
    """The topology of stable-video-diffusion with 4 frames of 128 x 192 pixels, narrow, float32."""
    return _workload("stable-video-diffusion-tiny", TINY_VISION, TINY, TINY_VAE, "float32", (128, 192))


def stable_video_diffusion_xt_tiny() -> Workload:
    """The topology of stable-video-diffusion-xt with 6 frames of 128 x 192 pixels, narrow, float32."""
    longer = {**TINY, "num_frames": 6}
    return _workload("stable-video-diffusion-xt-tiny", TINY_VISION, longer, TINY_VAE, "float32", (128, 192))


MODELS = (
    Model(
        "stable-video-diffusion",
        "image to video, 14 frames of 576 x 1024",
        stable_video_diffusion,
        ("svd",),
        "image-to-video",
    ),
    Model(
        "stable-video-diffusion-xt",
        "image to video, 25 frames of 576 x 1024",
        stable_video_diffusion_xt,
        ("svd-xt",),
        "image-to-video",
    ),
    Model(
        "stable-video-diffusion-tiny",
        "Stable Video Diffusion's topology, narrow",
        stable_video_diffusion_tiny,
        (),
        "image-to-video",
    ),
    Model(
        "stable-video-diffusion-xt-tiny",
        "Stable Video Diffusion's topology, narrow",
        stable_video_diffusion_xt_tiny,
        (),
        "image-to-video",
    ),
)
