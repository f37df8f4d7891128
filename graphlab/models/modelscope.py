"""ModelScope text-to-video: a CLIP text encoder, a 3D U-Net over the steps, an image decoder on every frame.

Defaults are TextToVideoSDPipeline's: 16 frames, sample_size times 8 pixels, 50 steps, guidance 9.
"""

from __future__ import annotations

from graphlab.components import component_for
from graphlab.components.base import Config
from graphlab.components.video import with_defaults
from graphlab.models.building_blocks import CALLS, ENCODED, SD_VAE, TINY_CLIP, TINY_VAE, sampling
from graphlab.models.registry import Model
from graphlab.models.stable_diffusion import OPENCLIP_H
from graphlab.workload import Stage, TensorInput, Workload

# Source: ali-vilab/text-to-video-ms-1.7b (damo-vilab before), unet/config.json
UNET: Config = {
    "sample_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "block_out_channels": [320, 640, 1280, 1280],
    "layers_per_block": 2,
    "cross_attention_dim": 1024,
    "attention_head_dim": 64,
}

TINY: Config = {
    **UNET,
    "sample_size": 16,
    "block_out_channels": [32, 64, 64, 64],
    "layers_per_block": 1,
    "cross_attention_dim": 32,
    "attention_head_dim": 16,
}


def frame_decoder(config: Config, dtype: str) -> Stage:
    """AutoencoderKL's decoder on all frames of all videos at once: latent (batch * frames, 4, height/8, width/8)."""
    part = component_for("AutoencoderKL", config, dtype)
    latent = part.inputs["latent"]
    assert isinstance(latent, TensorInput)
    frames = TensorInput(("batch * frames", *latent.shape[1:]), dtype, role="latent", axes={0: ("batch", "frames")})
    return part.stage("vae_decoder", batch="batch * frames", inputs={"latent": frames})


def _workload(name: str, text: Config, unet: Config, vae: Config, dtype: str, frames: int) -> Workload:
    text_encoder = component_for("CLIPTextModel", text, dtype)
    denoiser = component_for("UNet3DConditionModel", unet, dtype)
    return Workload(
        name=name,
        source=name,
        stages=(
            text_encoder.stage("text_encoder", calls_per_step=ENCODED),
            denoiser.stage("unet", steps="steps", calls_per_step=CALLS),
            frame_decoder(vae, dtype),
        ),
        variables=(*with_defaults(denoiser.variables, {"frames": frames}), *sampling(50, 9.0)),
        assumptions=(f"{dtype}: the model card's example; 16 frames, 50 steps, guidance 9: the pipeline's defaults",),
    )


def modelscope() -> Workload:
    """16 frames of 256 x 256 pixels, float16, 50 steps with guidance 9."""
    return _workload("modelscope-t2v", OPENCLIP_H, UNET, SD_VAE, "float16", 16)


def modelscope_tiny() -> Workload:
    """The topology of modelscope-t2v with 4 frames of 128 x 128 pixels, narrow, float32."""
    return _workload("modelscope-t2v-tiny", {**TINY_CLIP, "hidden_act": "gelu"}, TINY, TINY_VAE, "float32", 4)


MODELS = (
    Model(
        "modelscope-t2v",
        "3D U-Net, 16 frames of 256 px, 50 steps",
        modelscope,
        ("modelscope", "text-to-video-ms-1.7b"),
        "text-to-video",
    ),
    Model("modelscope-t2v-tiny", "ModelScope's topology, narrow", modelscope_tiny, (), "text-to-video"),
)
