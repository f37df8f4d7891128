"""DiT-XL/2 at 256 and 512 pixels: a class label, a latent transformer, Stable Diffusion's decoder.

Defaults are DiTPipeline's: 50 steps, guidance 4. These are the diffusers class's parameters (749.8 M): it holds
a time and label embedder in every block, where the original code (675.1 M) has one.
"""

from __future__ import annotations

from graphlab.components import component_for
from graphlab.components.base import Config
from graphlab.models.building_blocks import CALLS, SD_VAE, TINY_VAE, decoder_stage, image_size, sampling
from graphlab.models.registry import Model
from graphlab.workload import Workload

# Source: facebook/DiT-XL-2-256 and facebook/DiT-XL-2-512, transformer/config.json
XL_2: Config = {
    "sample_size": 32,
    "patch_size": 2,
    "in_channels": 4,
    "out_channels": 8,
    "num_layers": 28,
    "attention_head_dim": 72,
    "num_attention_heads": 16,
    "num_embeds_ada_norm": 1000,
}
TINY: Config = {**XL_2, "sample_size": 16, "num_layers": 2, "attention_head_dim": 8, "num_attention_heads": 4}


def _workload(name: str, transformer: Config, vae: Config, dtype: str) -> Workload:
    denoiser = component_for("DiTTransformer2DModel", transformer, dtype)
    side = int(transformer["sample_size"]) * 8
    return Workload(
        name=name,
        source=name,
        stages=(
            denoiser.stage("transformer", steps="steps", calls_per_step=CALLS),
            decoder_stage(vae, dtype),
        ),
        variables=(*image_size(side, 16), *sampling(50, 4.0)),
        assumptions=(
            f"{dtype}: the pipeline's own example",
            "the pipeline makes only its own size; the class takes other square sizes (height equal to width)",
        ),
    )


def dit_xl_2_256() -> Workload:
    """256 x 256 pixels, float16, 50 steps with guidance 4."""
    return _workload("dit-xl-2-256", XL_2, {**SD_VAE, "sample_size": 256}, "float16")


def dit_xl_2_512() -> Workload:
    """512 x 512 pixels, float16, 50 steps with guidance 4."""
    return _workload("dit-xl-2-512", {**XL_2, "sample_size": 64}, {**SD_VAE, "sample_size": 256}, "float16")


def dit_xl_2_256_tiny() -> Workload:
    """The topology of dit-xl-2-256 at 128 x 128 pixels, narrow, float32."""
    return _workload("dit-xl-2-256-tiny", TINY, TINY_VAE, "float32")


def dit_xl_2_512_tiny() -> Workload:
    """The topology of dit-xl-2-512 at 256 x 256 pixels, narrow, float32."""
    return _workload("dit-xl-2-512-tiny", {**TINY, "sample_size": 32}, TINY_VAE, "float32")


MODELS = (
    Model("dit-xl-2-256", "class to image, latent transformer, 256 px", dit_xl_2_256, ("dit",), "class-to-image"),
    Model("dit-xl-2-512", "class to image, latent transformer, 512 px", dit_xl_2_512, (), "class-to-image"),
    Model("dit-xl-2-256-tiny", "dit-xl-2-256, narrow, 128 px", dit_xl_2_256_tiny, (), "class-to-image"),
    Model("dit-xl-2-512-tiny", "dit-xl-2-512, narrow, 256 px", dit_xl_2_512_tiny, (), "class-to-image"),
)
