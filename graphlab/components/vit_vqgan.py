"""ViT-VQGAN's decoder: a grid of codebook indices to an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphlab.components.base import Component, Config, build_on_meta, component
from graphlab.workload import TensorInput, Variable

if TYPE_CHECKING:
    import torch


@component("ViTVQGANDecoder")
def vit_vqgan_decoder(config: Config, dtype: str) -> Component:
    """tokens (batch, height/patch, width/patch), at most grid x grid -> image (batch, 3, height, width)."""

    def build() -> torch.nn.Module:
        from graphlab.architectures.vit_vqgan import ViTVQGANDecoder

        return build_on_meta(lambda: ViTVQGANDecoder(config), dtype)

    patch = int(config["patch"])
    side = int(config["grid"]) * patch
    return Component(
        class_name="ViTVQGANDecoder",
        dtype=dtype,
        build=build,
        pixels_per_latent=patch,
        inputs={
            "tokens": TensorInput(
                ("batch", f"height // {patch}", f"width // {patch}"),
                "int64",
                role="tokens",
                axes={1: ("height",), 2: ("width",)},
            )
        },
        variables=(
            Variable("height", side, "image height in pixels", minimum=patch, maximum=side, multiple_of=patch),
            Variable("width", side, "image width in pixels", minimum=patch, maximum=side, multiple_of=patch),
            Variable("batch", 1, "images per generation"),
        ),
    )
