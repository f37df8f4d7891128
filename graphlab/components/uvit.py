"""diffusers.UVit2DModel: the masked token transformer of aMUSEd."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from graphlab.components.base import Component, Config, build_on_meta, component, pixels_per_latent, scale_note
from graphlab.errors import UnknownArchitectureError
from graphlab.workload import TensorInput, Variable

if TYPE_CHECKING:
    import torch

# Defaults of UVit2DModel.__init__ that decide its inputs; a test compares them with the class.
DEFAULTS: Mapping[str, Any] = {
    "sample_size": 64,
    "cond_embed_dim": 768,
    "encoder_hidden_size": 768,
    "micro_cond_encode_dim": 256,
    "micro_cond_embed_dim": 1280,
    "downsample": False,
}

VQ_SCALE = 16
"""Pixels per token and side of aMUSEd's VQModel (four halvings)."""


@component("UVit2DModel")
def uvit2d(config: Config, dtype: str) -> Component:
    """input_ids (batch, height/16, width/16), encoder_hidden_states (batch, tokens, text width).

    pooled_text_emb (batch, cond_embed_dim) and micro_conds (batch, n): original size, crop, aesthetic score.
    """

    def build() -> torch.nn.Module:
        from diffusers import UVit2DModel

        return build_on_meta(lambda: UVit2DModel.from_config(dict(config)), dtype)

    known = {**DEFAULTS, **config}
    scale = pixels_per_latent(config, VQ_SCALE)
    embedded, each = int(known["micro_cond_embed_dim"]), int(known["micro_cond_encode_dim"])
    if embedded % each:
        raise UnknownArchitectureError(
            f"UVit2DModel: micro_cond_embed_dim {embedded} is not a multiple of micro_cond_encode_dim {each}"
        )
    side = int(known["sample_size"]) * scale
    multiple = scale * (2 if known["downsample"] else 1)
    rows = ("batch", f"height // {scale}", f"width // {scale}")
    text = ("batch", "tokens", int(known["encoder_hidden_size"]))
    return Component(
        class_name="UVit2DModel",
        dtype=dtype,
        build=build,
        inputs={
            "input_ids": TensorInput(rows, "int64", role="tokens"),
            "encoder_hidden_states": TensorInput(text, dtype, role="text"),
            "pooled_text_emb": TensorInput(("batch", int(known["cond_embed_dim"])), dtype, role="condition"),
            "micro_conds": TensorInput(("batch", embedded // each), dtype, role="condition"),
        },
        variables=(
            Variable("height", side, "image height in pixels", minimum=multiple, multiple_of=multiple),
            Variable("width", side, "image width in pixels", minimum=multiple, multiple_of=multiple),
            Variable("batch", 1, "images per generation"),
            Variable("tokens", 77, "text tokens"),
        ),
        assumptions=scale_note(config, "16 pixels per token (the VQModel's, which this configuration does not name)"),
    )
