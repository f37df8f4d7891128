"""Imagen: T5-XXL, a 64 x 64 pixel U-Net, and two Efficient U-Nets that make 256 x 256 and 1024 x 1024 of it.

`height` and `width` are those of the last image: the base makes height/16 x width/16 pixels, the second network four
times as many a side. Every published number is from Saharia et al. (arXiv 2205.11487), appendices B.1 and F; what the
paper does not say is a stand-in and among the assumptions.
"""

from __future__ import annotations

from collections.abc import Mapping

from graphlab.components import component_for
from graphlab.components.base import GUIDANCE_STOP, Config
from graphlab.models.building_blocks import T5_XXL, TINY_T5, image_size
from graphlab.models.deepfloyd_if import STAGE_I
from graphlab.models.registry import Model
from graphlab.workload import Argument, Stage, TensorInput, Variable, Workload

# Source: F.1 (embed_dim 512, channel_mult 1,2,3,4, num_res_blocks 3, attn_resolutions 32,16,8, per_head_channels 64);
# block types are those of DeepFloyd IF's stage I, which follows the same appendix
BASE: Config = {
    **STAGE_I,
    "out_channels": 3,
    "block_out_channels": [512, 1024, 1536, 2048],
    "cross_attention_dim": 2048,
}

# Source: F.2
UPSAMPLER: Config = {
    "block_out_channels": [128, 256, 512, 1024],
    "num_res_blocks": [2, 4, 8, 8],
    "self_attention": True,
    "num_attention_heads": 8,
    "text_width": 4096,
}

# Source: F.3: F.2 "except we do not use self-attention layers"
LAST_UPSAMPLER: Config = {**UPSAMPLER, "self_attention": False}

TINY_BASE: Config = {
    **BASE,
    "sample_size": 32,
    "attention_head_dim": 8,
    "encoder_hid_dim": 32,
    "addition_embed_type_num_heads": 4,
    "block_out_channels": [32, 32, 64, 64],
    "layers_per_block": 1,
    "cross_attention_dim": 64,
}
TINY_UPSAMPLER: Config = {
    **UPSAMPLER,
    "block_out_channels": [16, 16, 32, 32],
    "num_res_blocks": [1, 1, 2, 2],
    "num_attention_heads": 4,
    "text_width": 32,
    "text_heads": 4,
    "norm_num_groups": 8,
}
TINY_LAST_UPSAMPLER: Config = {**TINY_UPSAMPLER, "self_attention": False}

GRID = 128
"""The base halves a sixteenth of the side three times without rounding."""

EFFICIENT_UNET_NOTES = (
    "Efficient U-Net, stand-in where figures A.27 to A.30 are silent: a skip is added, not concatenated, and the last "
    "DBlock has none; a UBlock doubles by nearest neighbour and a 3x3 convolution; time, noise level and pooled text "
    "are embedded in 4 x 128 numbers; text goes through one projection to the attention's width",
)


def _calls(index: str) -> str:
    return f"2 if guidance{index} > 1 and step < guidance_stop * steps{index} else 1"


def _guidance(index: str, weight: float, what: str) -> Variable:
    text = f"guidance weight of the {what}; above 1 every step makes two calls"
    return Variable(f"guidance{index}", weight, text, minimum=0)


def _upsampler(name: str, config: Config, dtype: str, index: str, scale: int) -> Stage:
    shape = ("batch", 6, f"height // {scale}", f"width // {scale}") if scale > 1 else ("batch", 6, "height", "width")
    inputs: Mapping[str, Argument] = {"sample": TensorInput(shape, dtype, role="latent")}
    return component_for("EfficientUNet", config, dtype).stage(
        name, steps=f"steps{index}", calls_per_step=_calls(index), inputs=inputs
    )


def _workload(name: str, configs: tuple[Config, Config, Config, Config], dtype: str) -> Workload:
    t5, base, second, third = configs
    small = TensorInput(("batch", 3, "height // 16", "width // 16"), dtype, role="latent")
    unet = component_for("UNet2DConditionModel", base, dtype)
    return Workload(
        name=name,
        source=name,
        stages=(
            component_for("T5EncoderModel", t5, dtype).stage("text_encoder"),
            unet.stage("unet_1", steps="steps", calls_per_step=_calls(""), inputs={"sample": small}),
            _upsampler("unet_2", second, dtype, "_2", 4),
            _upsampler("unet_3", third, dtype, "_3", 1),
        ),
        variables=(
            *image_size(int(base["sample_size"]) * 16, GRID),
            Variable("tokens", 128, "T5 tokens, padding included"),
            Variable("steps", 256, "denoising steps of the base (stand-in: not published)"),
            _guidance("", 1.35, "base"),
            Variable("steps_2", 128, "denoising steps of 64 to 256 (stand-in: not published)"),
            _guidance("_2", 8.0, "64 to 256 network"),
            Variable("steps_3", 128, "denoising steps of 256 to 1024 (stand-in: not published)"),
            _guidance("_3", 8.0, "256 to 1024 network"),
            GUIDANCE_STOP,
        ),
        assumptions=(
            "stand-in, not published: 256, 128 and 128 steps (`--set steps=`, `steps_2=`, `steps_3=` change them), 128 "
            f"text tokens, {dtype}, and guidance 8 in the last network",
            "guidance 1.35 and 8 are the weights of table 1; without text the embeddings are zeros: one text encoding",
            "the base is diffusers' U-Net under F.1; thresholding and noising the low-resolution image are left out",
            *EFFICIENT_UNET_NOTES,
        ),
    )


def imagen() -> Workload:
    """64 x 64, 256 x 256, then 1024 x 1024 pixels, float16; steps are a stand-in."""
    return _workload("imagen", (T5_XXL, BASE, UPSAMPLER, LAST_UPSAMPLER), "float16")


def imagen_tiny() -> Workload:
    """The topology of imagen at 32, 128 and 512 pixels a side, narrow, float32."""
    return _workload("imagen-tiny", (TINY_T5, TINY_BASE, TINY_UPSAMPLER, TINY_LAST_UPSAMPLER), "float32")


MODELS = (
    Model("imagen", "pixel cascade 64 to 256 to 1024 px, from the paper's configurations", imagen),
    Model("imagen-tiny", "imagen, narrow, 512 px", imagen_tiny),
)
