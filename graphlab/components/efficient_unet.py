"""graphlab.architectures.EfficientUNet: Imagen's super-resolution stages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphlab.components.base import Component, Config, build_on_meta, component
from graphlab.workload import TensorInput, Variable

if TYPE_CHECKING:
    import torch

SIDE = 256
"""Image side where nobody says: the network takes any multiple of its granularity."""


@component("EfficientUNet")
def efficient_unet(config: Config, dtype: str) -> Component:
    """sample (batch, 6, height, width), timestep (), text (batch, tokens, text_width), aug_level ()."""

    def build() -> torch.nn.Module:
        from graphlab.architectures.efficient_unet import EfficientUNet

        return build_on_meta(lambda: EfficientUNet(**config), dtype)

    multiple = 2 ** len(config["block_out_channels"])
    text = ("batch", "tokens", int(config.get("text_width", 4096)))
    sides = (
        Variable(name, SIDE, f"image {name} in pixels", minimum=multiple, multiple_of=multiple)
        for name in ("height", "width")
    )
    return Component(
        class_name="EfficientUNet",
        dtype=dtype,
        build=build,
        inputs={
            "sample": TensorInput(("batch", int(config.get("in_channels", 6)), "height", "width"), dtype, "latent"),
            "timestep": TensorInput((), "float32", role="timestep"),
            "text": TensorInput(text, dtype, role="text"),
            "aug_level": TensorInput((), "float32", role="condition"),
        },
        variables=(*sides, Variable("batch", 1, "images per generation"), Variable("tokens", 128, "text tokens")),
    )
