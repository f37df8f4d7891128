"""diffusers.VQModel: the token decoder of aMUSEd, the latent decoder of Kandinsky and latent diffusion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from graphlab.components.base import Component, Config, build_on_meta, component
from graphlab.workload import Argument, TensorInput, Variable

if TYPE_CHECKING:
    import torch

# Defaults of VQModel.__init__ that decide its inputs; a test compares them with the class.
DEFAULTS: Mapping[str, Any] = {
    "block_out_channels": (64,),
    "latent_channels": 3,
    "vq_embed_dim": None,
    "lookup_from_codebook": False,
    "norm_type": "group",
}

LATENT_SIDE = 64
"""Latent side of the example: `sample_size` of published configurations is not the size they are used at."""


@component("VQModel")
def vqmodel(config: Config, dtype: str) -> Component:
    """tokens (batch, height/s, width/s), or latent (batch, vq_embed_dim, height/s, width/s) without a look-up.

    With `lookup_from_codebook` the input is codebook indices (aMUSEd). Otherwise latents: quantized first
    (latent diffusion), except with norm_type "spatial", where Kandinsky's pipelines skip the codebook.
    """
    known = {**DEFAULTS, **config}
    channels = int(known["latent_channels"])
    lookup = bool(known["lookup_from_codebook"])
    quantize = known["norm_type"] != "spatial"

    def build() -> torch.nn.Module:
        from diffusers import VQModel

        from graphlab.components.decoding import LatentDecoder, TokenDecoder

        def decoder() -> torch.nn.Module:
            model = VQModel.from_config(dict(config))
            return TokenDecoder(model, channels) if lookup else LatentDecoder(model, quantize)

        return build_on_meta(decoder, dtype)

    scale = 2 ** (len(known["block_out_channels"]) - 1)
    rows = ("batch", f"height // {scale}", f"width // {scale}")
    inputs: dict[str, Argument]
    if lookup:
        inputs = {"tokens": TensorInput(rows, "int64", role="tokens")}
    else:
        width = int(known["vq_embed_dim"] or channels)
        inputs = {"latent": TensorInput((rows[0], width, *rows[1:]), dtype, role="latent")}
    side = LATENT_SIDE * scale
    return Component(
        class_name="VQModel",
        dtype=dtype,
        build=build,
        pixels_per_latent=scale,
        inputs=inputs,
        variables=(
            Variable("height", side, "image height in pixels", minimum=scale, multiple_of=scale),
            Variable("width", side, "image width in pixels", minimum=scale, multiple_of=scale),
            Variable("batch", 1, "images per generation"),
        ),
        assumptions=("only the decoder is captured: a generation from text does not encode an image",),
    )
