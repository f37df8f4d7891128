"""Make-A-Video: CLIP text, a prior, 16 frames of 64 pixels, 76 frames by interpolation, then 256 and 768 pixels.

`height`, `width` and `frames` are the decoder's: 16 frames of 64 x 64 pixels. Interpolation puts 4 new frames between
any two, (frames - 1) * 5 + 1, so 76; spatio-temporal super-resolution makes 4 times the sides (256), spatial
super-resolution 12 times (768).

The order of the networks, 16 frames of 64 pixels, 256 and 768 pixels are published; channel widths, attention
resolutions and steps are not. All networks are stand-ins: diffusers classes of the described kind, as wide as the
parameter counts say that are recalled (unverified): prior 1.3B, decoder and interpolation 3.1B each, 1.4B, 0.7B.
"""

from __future__ import annotations

from dataclasses import replace

from graphlab.components import component_for
from graphlab.components.base import Config
from graphlab.models.building_blocks import CALLS, CLIP_L, TINY_CLIP, sampling
from graphlab.models.registry import Model
from graphlab.workload import Stage, TensorInput, Variable, Workload

# Class defaults (32 heads of 64, 77 text states of width 768); 25 layers for 1.3B.
PRIOR: Config = {"num_layers": 25}

# A pseudo-3D network: every 2D convolution is followed by a 1D one over frames, spatial attention by temporal.
# No attention at the highest resolution, as in Imagen's and unCLIP's networks of that size.
DECODER: Config = {
    "sample_size": 64,
    "in_channels": 3,
    "out_channels": 3,
    "block_out_channels": [512, 1024, 1536, 1792],
    "layers_per_block": 2,
    "down_block_types": ["DownBlock3D", *["CrossAttnDownBlock3D"] * 3],
    "up_block_types": [*["CrossAttnUpBlock3D"] * 3, "UpBlock3D"],
    "cross_attention_dim": 768,
    "attention_head_dim": 64,
}
# Beside the noise it reads the known frames (zeros where there is none) and a channel that says which are known.
INTERPOLATION: Config = {**DECODER, "in_channels": 7}

# Beside the noise it reads the small video, enlarged. Attention at an eighth of the sides only: 32 x 32 of 256.
SPATIOTEMPORAL: Config = {
    **DECODER,
    "sample_size": 256,
    "in_channels": 6,
    "block_out_channels": [256, 512, 768, 1536],
    "down_block_types": [*["DownBlock3D"] * 3, "CrossAttnDownBlock3D"],
    "up_block_types": ["CrossAttnUpBlock3D", *["UpBlock3D"] * 3],
}

# Frame by frame, without layers over time: widths and depths of Imagen's super-resolution networks, no self-attention.
SPATIAL: Config = {
    "sample_size": 768,
    "in_channels": 6,
    "out_channels": 3,
    "block_out_channels": [128, 256, 512, 1024],
    "layers_per_block": [2, 4, 8, 8],
    "down_block_types": [*["ResnetDownsampleBlock2D"] * 3, "SimpleCrossAttnDownBlock2D"],
    "up_block_types": ["SimpleCrossAttnUpBlock2D", *["ResnetUpsampleBlock2D"] * 3],
    "mid_block_type": "UNetMidBlock2DSimpleCrossAttn",
    "cross_attention_dim": 768,
    "attention_head_dim": 64,
    "only_cross_attention": True,
    "resnet_time_scale_shift": "scale_shift",
}

# Three levels instead of four.
_TINY: Config = {"cross_attention_dim": 32, "attention_head_dim": 16, "block_out_channels": [32, 32, 64]}
TINY_PRIOR: Config = {"num_layers": 2, "num_attention_heads": 4, "attention_head_dim": 8, "embedding_dim": 32}
TINY_DECODER: Config = {
    **DECODER,
    **_TINY,
    "layers_per_block": 1,
    "down_block_types": ["DownBlock3D", *["CrossAttnDownBlock3D"] * 2],
    "up_block_types": [*["CrossAttnUpBlock3D"] * 2, "UpBlock3D"],
}
TINY_INTERPOLATION: Config = {**TINY_DECODER, "in_channels": 7}
TINY_SPATIOTEMPORAL: Config = {
    **TINY_DECODER,
    "in_channels": 6,
    "down_block_types": [*["DownBlock3D"] * 2, "CrossAttnDownBlock3D"],
    "up_block_types": ["CrossAttnUpBlock3D", *["UpBlock3D"] * 2],
}
TINY_SPATIAL: Config = {
    **SPATIAL,
    **_TINY,
    "block_out_channels": [16, 16, 32],
    "norm_num_groups": 8,
    "layers_per_block": [1, 2, 2],
    "down_block_types": [*["ResnetDownsampleBlock2D"] * 2, "SimpleCrossAttnDownBlock2D"],
    "up_block_types": ["SimpleCrossAttnUpBlock2D", *["ResnetUpsampleBlock2D"] * 2],
}

FRAMES = "(frames - 1) * 5 + 1"
"""Frames after interpolation."""

CONTEXT = "tokens + 4"
"""What the networks attend to: the text, and four tokens made of the image embedding."""

Networks = tuple[Config, Config, Config, Config, Config]
"""Prior, decoder, interpolation, spatio-temporal and spatial super-resolution."""


def unet3d_stage(name: str, config: Config, dtype: str, frames: str, scale: int, steps: str, calls: str) -> Stage:
    """A pseudo-3D network over (batch, channels, `frames`, height * scale, width * scale) pixels."""
    sides = (f"height * {scale}", f"width * {scale}")
    context = TensorInput(("batch", CONTEXT, int(config["cross_attention_dim"])), dtype, role="text")
    sample = TensorInput(("batch", int(config["in_channels"]), frames, *sides), dtype, role="latent")
    stage = component_for("UNet3DConditionModel", config, dtype).stage(
        name, steps=steps, calls_per_step=calls, inputs={"sample": sample, "encoder_hidden_states": context}
    )
    return replace(stage, assumptions=())  # what they say is of latent networks; the workload's own says more


def spatial_stage(config: Config, dtype: str) -> Stage:
    """A 2D network over all frames at once: (batch * frames, channels, height * 12, width * 12) pixels."""
    images = f"batch * ({FRAMES})"
    axes = {0: ("batch", "frames")}
    sample = TensorInput(
        (images, int(config["in_channels"]), "height * 12", "width * 12"), dtype, role="latent", axes=axes
    )
    text = (images, CONTEXT, int(config["cross_attention_dim"]))
    stage = component_for("UNet2DConditionModel", config, dtype).stage(
        "spatial_super_resolution",
        steps="steps_sr_2",
        batch=images,
        inputs={"sample": sample, "encoder_hidden_states": TensorInput(text, dtype, role="text", axes=axes)},
    )
    return replace(stage, assumptions=())


def _stages(text: Config, networks: Networks, dtype: str) -> tuple[Stage, ...]:
    prior, decoder, interpolation, spatiotemporal, spatial = networks
    guided = CALLS.replace("* steps", "* steps_prior").replace("guidance >", "guidance_prior >")
    return (
        component_for("CLIPTextModelWithProjection", text, dtype).stage(
            "text_encoder", calls_per_step="2 if guidance > 1 or guidance_prior > 1 else 1"
        ),
        component_for("PriorTransformer", prior, dtype).stage("prior", steps="steps_prior", calls_per_step=guided),
        unet3d_stage("decoder", decoder, dtype, "frames", 1, "steps", CALLS),
        unet3d_stage(
            "interpolation",
            interpolation,
            dtype,
            FRAMES,
            1,
            "steps_interpolation",
            CALLS.replace("* steps", "* steps_interpolation"),
        ),
        unet3d_stage("spatiotemporal_super_resolution", spatiotemporal, dtype, FRAMES, 4, "steps_sr", "1"),
        spatial_stage(spatial, dtype),
    )


def _workload(name: str, text: Config, networks: Networks, dtype: str, side: int, frames: int) -> Workload:
    grid = 2 ** (len(networks[1]["block_out_channels"]) - 1)
    return Workload(
        name=name,
        source=name,
        stages=_stages(text, networks, dtype),
        variables=(
            Variable("height", side, "height of the decoder's frames in pixels", minimum=grid, multiple_of=grid),
            Variable("width", side, "width of the decoder's frames in pixels", minimum=grid, multiple_of=grid),
            Variable("frames", frames, "frames the decoder makes; interpolation puts 4 between any two"),
            Variable("batch", 1, "videos per generation"),
            Variable("tokens", 77, "text tokens: as many as the prior has positions for", minimum=77, maximum=77),
            *sampling(25, 8.0),
            Variable("steps_prior", 25, "denoising steps of the prior"),
            Variable(
                "guidance_prior", 4.0, "guidance scale of the prior; above 1 every step makes two calls", minimum=0
            ),
            Variable("steps_interpolation", 25, "denoising steps of the interpolation"),
            Variable("steps_sr", 7, "denoising steps of spatio-temporal super-resolution"),
            Variable("steps_sr_2", 7, "denoising steps of spatial super-resolution"),
        ),
        assumptions=_ASSUMPTIONS,
    )


_ASSUMPTIONS = (
    "stand-in: channel widths, attention resolutions and steps are unpublished; the widths give the parameter counts "
    "recalled (unverified): 1.3B, 3.1B, 3.1B, 1.4B, 0.7B",
    "stand-in: steps and guidance scales of diffusers' UnCLIPPipeline (25 and 4, 25 and 8, 7); interpolation runs as "
    "the decoder does",
    "stand-in: as in unCLIP the networks attend to 77 CLIP-L text states and four tokens made of the image embedding",
    "diffusers runs two temporal self-attentions in each temporal block, and one temporal block before all others",
    "float16 for the published sizes: nothing was released",
)


def make_a_video() -> Workload:
    """16 frames of 64 x 64, 76 of 256 x 256, then of 768 x 768 pixels, float16."""
    networks = (PRIOR, DECODER, INTERPOLATION, SPATIOTEMPORAL, SPATIAL)
    return _workload("make-a-video", CLIP_L, networks, "float16", 64, 16)


def make_a_video_tiny() -> Workload:
    """The topology of make-a-video with 3 frames of 16 x 16, 11 of 64 x 64 and 192 x 192 pixels, narrow, float32."""
    networks = (TINY_PRIOR, TINY_DECODER, TINY_INTERPOLATION, TINY_SPATIOTEMPORAL, TINY_SPATIAL)
    return _workload("make-a-video-tiny", TINY_CLIP, networks, "float32", 16, 3)


MODELS = (
    Model(
        "make-a-video", "pixel cascade, 76 frames of 768 px; stand-in networks", make_a_video, ("mav",), "text-to-video"
    ),
    Model("make-a-video-tiny", "make-a-video's topology, narrow", make_a_video_tiny, (), "text-to-video"),
)
