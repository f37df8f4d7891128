"""Stable Diffusion 1.5."""

from __future__ import annotations

from graphlab.components import component_for
from graphlab.models.registry import Model
from graphlab.workload import Variable, Workload

# Source: stable-diffusion-v1-5/stable-diffusion-v1-5, unet/config.json
UNET_V1 = {"cross_attention_dim": 768, "attention_head_dim": 8, "sample_size": 64}


def stable_diffusion_v1_5() -> Workload:
    """512 x 512 pixels, float16, 50 steps with guidance 7.5: the pipeline's own defaults."""
    unet = component_for("UNet2DConditionModel", UNET_V1, "float16")
    return Workload(
        name="stable-diffusion-v1-5",
        source="stable-diffusion-v1-5",
        stages=(unet.stage("unet", steps="steps", calls_per_step="2 if guidance > 1 else 1"),),
        variables=(
            *unet.variables,
            Variable("steps", 50, "denoising steps"),
            Variable("guidance", 7.5, "guidance scale; above 1 every step calls the U-Net twice", minimum=0),
        ),
    )


MODELS = (
    Model("stable-diffusion-v1-5", "latent diffusion, 512 px, 50 steps", stable_diffusion_v1_5, ("sd15", "sd1.5")),
)
