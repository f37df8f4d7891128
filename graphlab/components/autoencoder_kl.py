"""diffusers.AutoencoderKL: the image decoder of Stable Diffusion, SD3, FLUX, DiT and PixArt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from graphlab.components.base import Component, Config, build_on_meta, component
from graphlab.workload import TensorInput, Variable

if TYPE_CHECKING:
    import torch

# Defaults of AutoencoderKL.__init__ that decide its inputs; a test compares them with the class.
DEFAULTS: Mapping[str, Any] = {"block_out_channels": (64,), "latent_channels": 4, "sample_size": 32}


@component("AutoencoderKL")
def autoencoder_kl(config: Config, dtype: str) -> Component:
    """latent (batch, latent_channels, height/s, width/s) to an image; s doubles with every block but the first.

    A generation only decodes, so the encoder is left out and `decode` is what is captured, with
    post_quant_conv where the configuration has one.
    """

    def build() -> torch.nn.Module:
        from diffusers import AutoencoderKL

        from graphlab.components.decoding import LatentDecoder

        return build_on_meta(lambda: LatentDecoder(AutoencoderKL.from_config(dict(config))), dtype)

    known = {**DEFAULTS, **config}
    scale = 2 ** (len(known["block_out_channels"]) - 1)
    side = known["sample_size"]
    rows, columns = (side, side) if isinstance(side, int) else (int(side[0]), int(side[1]))
    shape = ("batch", int(known["latent_channels"]), f"height // {scale}", f"width // {scale}")
    return Component(
        class_name="AutoencoderKL",
        dtype=dtype,
        build=build,
        pixels_per_latent=scale,
        inputs={"latent": TensorInput(shape, dtype, role="latent")},
        variables=(
            Variable("height", rows, "image height in pixels", minimum=scale, multiple_of=scale),
            Variable("width", columns, "image width in pixels", minimum=scale, multiple_of=scale),
            Variable("batch", 1, "images per generation"),
        ),
        assumptions=("only the decoder is captured: a generation from text does not encode an image",),
    )
