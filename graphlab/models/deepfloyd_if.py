"""DeepFloyd IF (an open Imagen): T5-XXL, a pixel U-Net at a quarter of the size, a U-Net that upsamples by 4.

`height` and `width` are those of the image after stage II (256 x 256): stage I makes height/4 x width/4 and
stage II reads its result, enlarged, beside the noise. Defaults are IFPipeline's (100 steps, guidance 7) and
IFSuperResolutionPipeline's (50 steps, guidance 4). Stage III, the SD x4 upscaler, is another model.
"""

from __future__ import annotations

from graphlab.components import component_for
from graphlab.components.base import Config
from graphlab.models.building_blocks import T5_XXL, TINY_T5, image_size
from graphlab.models.registry import Model
from graphlab.workload import TensorInput, Variable, Workload

_STAGE: Config = {
    "mid_block_type": "UNetMidBlock2DSimpleCrossAttn",
    "act_fn": "gelu",
    "attention_head_dim": 64,
    "cross_attention_norm": "group_norm",
    "encoder_hid_dim": 4096,
    "encoder_hid_dim_type": "text_proj",
    "addition_embed_type": "text",
    "addition_embed_type_num_heads": 64,
    "resnet_time_scale_shift": "scale_shift",
    "out_channels": 6,
}

# Source: DeepFloyd/IF-I-XL-v1.0, unet/config.json
STAGE_I: Config = {
    **_STAGE,
    "sample_size": 64,
    "in_channels": 3,
    "block_out_channels": [704, 1408, 2112, 2816],
    "down_block_types": ["ResnetDownsampleBlock2D", *["SimpleCrossAttnDownBlock2D"] * 3],
    "up_block_types": [*["SimpleCrossAttnUpBlock2D"] * 3, "ResnetUpsampleBlock2D"],
    "layers_per_block": 3,
    "cross_attention_dim": 2816,
}

# Source: DeepFloyd/IF-II-L-v1.0, unet/config.json, as written by diffusers scripts/convert_if.py
STAGE_II: Config = {
    **_STAGE,
    "sample_size": 256,
    "in_channels": 6,
    "block_out_channels": [160, 320, 640, 960, 1280],
    "down_block_types": [*["ResnetDownsampleBlock2D"] * 3, *["SimpleCrossAttnDownBlock2D"] * 2],
    "up_block_types": [*["SimpleCrossAttnUpBlock2D"] * 2, *["ResnetUpsampleBlock2D"] * 3],
    "layers_per_block": [2, 2, 3, 5, 5],
    "cross_attention_dim": 1280,
    "class_embed_type": "timestep",
    "time_embedding_act_fn": "gelu",
    "time_embedding_dim": 1280,
    "resnet_skip_time_act": True,
    "resnet_out_scale_factor": 1.41421,
    "mid_block_scale_factor": 1.41421,
    "only_cross_attention": False,
}

_TINY: Config = {"attention_head_dim": 8, "encoder_hid_dim": 32, "addition_embed_type_num_heads": 4}
TINY_I: Config = {
    **STAGE_I,
    **_TINY,
    "sample_size": 16,
    "block_out_channels": [32, 32, 64, 64],
    "layers_per_block": 1,
    "cross_attention_dim": 64,
}
TINY_II: Config = {
    **STAGE_II,
    **_TINY,
    "sample_size": 64,
    "block_out_channels": [32, 32, 32, 64, 64],
    "layers_per_block": [1, 1, 1, 1, 2],
    "cross_attention_dim": 64,
    "time_embedding_dim": 64,
}

GRID = 32
"""Stage I halves its quarter-size image three times, stage II its own four times, without rounding."""


def _workload(name: str, t5: Config, stage_i: Config, stage_ii: Config, dtype: str) -> Workload:
    text_encoder = component_for("T5EncoderModel", t5, dtype)
    base = component_for("UNet2DConditionModel", stage_i, dtype)
    upsampler = component_for("UNet2DConditionModel", stage_ii, dtype)
    small = TensorInput(("batch", 3, "height // 4", "width // 4"), dtype, role="latent")
    calls = "2 if guidance > 1 else 1"
    return Workload(
        name=name,
        source=name,
        stages=(
            text_encoder.stage("text_encoder", calls_per_step="2 if guidance > 1 or guidance_2 > 1 else 1"),
            base.stage("unet_1", steps="steps", calls_per_step=calls, inputs={"sample": small}),
            upsampler.stage("unet_2", steps="steps_2", calls_per_step="2 if guidance_2 > 1 else 1"),
        ),
        variables=(
            *image_size(int(stage_ii["sample_size"]), GRID),
            Variable("tokens", 77, "T5 tokens, padding included", maximum=77),
            Variable("steps", 100, "denoising steps of stage I"),
            Variable("guidance", 7.0, "guidance scale of stage I; above 1 every step makes two calls", minimum=0),
            Variable("steps_2", 50, "denoising steps of stage II"),
            Variable("guidance_2", 4.0, "guidance scale of stage II; above 1 every step makes two calls", minimum=0),
        ),
        assumptions=(
            f"{dtype}: the pipeline's own example",
            "stage I makes a quarter of height and width; the safety checker and the watermark are left out",
        ),
    )


def deepfloyd_if() -> Workload:
    """64 x 64 then 256 x 256 pixels, float16, 100 steps with guidance 7, then 50 with guidance 4."""
    return _workload("deepfloyd-if", T5_XXL, STAGE_I, STAGE_II, "float16")


def deepfloyd_if_tiny() -> Workload:
    """The topology of deepfloyd-if at 16 x 16 then 64 x 64 pixels, narrow, float32."""
    return _workload("deepfloyd-if-tiny", TINY_T5, TINY_I, TINY_II, "float32")


MODELS = (
    Model("deepfloyd-if", "pixel cascade 64 to 256 px (IF-I-XL, IF-II-L)", deepfloyd_if, ("if", "deepfloyd-if-xl")),
    Model("deepfloyd-if-tiny", "deepfloyd-if, narrow, 64 px", deepfloyd_if_tiny),
)
