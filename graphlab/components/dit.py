"""diffusers.DiTTransformer2DModel: the class-conditional DiT on ImageNet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from graphlab.components.base import Component, Config, build_on_meta, component, pixels_per_latent, scale_note
from graphlab.workload import TensorInput, Variable

if TYPE_CHECKING:
    import torch

# Defaults of DiTTransformer2DModel.__init__ that decide its inputs; a test compares them with the class.
DEFAULTS: Mapping[str, Any] = {"sample_size": 32, "patch_size": 2, "in_channels": 4}

VAE_SCALE = 8
"""Pixels per latent position of the Stable Diffusion autoencoder DiT was trained on."""


@component("DiTTransformer2DModel")
def dit_transformer(config: Config, dtype: str) -> Component:
    """hidden_states (batch, in_channels, height/8, width/8), timestep (batch,), class_labels (batch,).

    The class puts tokens back as int(sqrt(tokens)) rows, so height must equal width, and torch.export fixes
    that number: a capture is symbolic in the batch and holds for one size.
    """

    def build() -> torch.nn.Module:
        from diffusers import DiTTransformer2DModel

        return build_on_meta(lambda: DiTTransformer2DModel.from_config(dict(config)), dtype)

    known = {**DEFAULTS, **config}
    scale = pixels_per_latent(config, VAE_SCALE)
    side = int(known["sample_size"]) * scale
    patch = int(known["patch_size"]) * scale
    latent = ("batch", int(known["in_channels"]), f"height // {scale}", f"width // {scale}")
    return Component(
        class_name="DiTTransformer2DModel",
        square=True,
        dtype=dtype,
        build=build,
        inputs={
            "hidden_states": TensorInput(latent, dtype, role="latent"),
            "timestep": TensorInput(("batch",), "int64", role="timestep"),
            "class_labels": TensorInput(("batch",), "int64", role="condition"),
            "return_dict": False,
        },
        variables=(
            Variable("height", side, "image height in pixels", minimum=patch, multiple_of=patch),
            Variable("width", side, "image width in pixels, equal to height", minimum=patch, multiple_of=patch),
            Variable("batch", 1, "images per generation"),
        ),
        assumptions=(
            *scale_note(config, "8 pixels per latent position (the autoencoder's)"),
            "square images only (the class's)",
        ),
    )
