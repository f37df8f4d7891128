"""AnimateDiff on Stable Diffusion 1.5: its text encoder and image decoder, its U-Net with motion modules.

Defaults are AnimateDiffPipeline's: 16 frames, sample_size times 8 pixels, 50 steps, guidance 7.5.
"""

from __future__ import annotations

from graphlab.components import component_for
from graphlab.components.base import Config
from graphlab.components.video import with_defaults
from graphlab.models.building_blocks import CALLS, CLIP_L, ENCODED, SD_VAE, TINY_CLIP, TINY_VAE, sampling
from graphlab.models.modelscope import frame_decoder
from graphlab.models.registry import Model
from graphlab.workload import Workload

# Sources: stable-diffusion-v1-5/stable-diffusion-v1-5, unet/config.json, and
# guoyww/animatediff-motion-adapter-v1-5-2, config.json, as UNetMotionModel.from_unet2d joins them
UNET: Config = {
    "sample_size": 64,
    "block_out_channels": [320, 640, 1280, 1280],
    "layers_per_block": 2,
    "cross_attention_dim": 768,
    "num_attention_heads": 8,
    "motion_num_attention_heads": 8,
    "motion_max_seq_length": 32,
    "use_motion_mid_block": True,
}

TINY: Config = {
    **UNET,
    "sample_size": 16,
    "block_out_channels": [32, 64, 64, 64],
    "layers_per_block": 1,
    "cross_attention_dim": 32,
    "num_attention_heads": 4,
    "motion_num_attention_heads": 4,
}


def _workload(name: str, text: Config, unet: Config, vae: Config, dtype: str, frames: int) -> Workload:
    text_encoder = component_for("CLIPTextModel", text, dtype)
    denoiser = component_for("UNetMotionModel", unet, dtype)
    return Workload(
        name=name,
        source=name,
        stages=(
            text_encoder.stage("text_encoder", calls_per_step=ENCODED),
            denoiser.stage("unet", steps="steps", calls_per_step=CALLS),
            frame_decoder(vae, dtype),
        ),
        variables=(*with_defaults(denoiser.variables, {"frames": frames}), *sampling(50, 7.5)),
        assumptions=(
            f"{dtype}: the model card's example; 16 frames, 50 steps, guidance 7.5: the pipeline's defaults",
            "all frames are decoded at once; the pipeline decodes 16 at a time, at the same FLOPs",
        ),
    )


def animatediff() -> Workload:
    """16 frames of 512 x 512 pixels, float16, 50 steps with guidance 7.5."""
    return _workload("animatediff", CLIP_L, UNET, SD_VAE, "float16", 16)


def animatediff_tiny() -> Workload:
    """The topology of animatediff with 4 frames of 128 x 128 pixels, narrow, float32."""
    return _workload("animatediff-tiny", TINY_CLIP, TINY, TINY_VAE, "float32", 4)


MODELS = (
    Model(
        "animatediff",
        "Stable Diffusion 1.5 with motion modules, 16 frames of 512 px",
        animatediff,
        ("animatediff-v1-5",),
        "text-to-video",
    ),
    Model("animatediff-tiny", "AnimateDiff's topology, narrow", animatediff_tiny, (), "text-to-video"),
)
