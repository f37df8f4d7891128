"""graphlab.architectures' MuseTransformer and MuseSuperResolution: Muse's two token transformers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from graphlab.components.base import Component, Config, build_on_meta, component
from graphlab.workload import TensorInput, Variable

if TYPE_CHECKING:
    import torch

BASE_SCALE, HIGH_SCALE, LOW_SCALE = 16, 8, 32
"""Pixels of the image that a token stands for, per side: base model; super-resolution, its own and low-resolution."""

SIDES: Mapping[int, tuple[str, ...]] = {1: ("height",), 2: ("width",)}
"""Rows and columns of tokens are those of the image: no convolution is there to show it."""


@component("MuseTransformer")
def muse_transformer(config: Config, dtype: str) -> Component:
    """tokens (batch, height/16, width/16), text (batch, tokens, text_width)."""

    def build() -> torch.nn.Module:
        from graphlab.architectures.muse_base import MuseTransformer

        return build_on_meta(lambda: MuseTransformer(**config), dtype)

    return Component(
        class_name="MuseTransformer",
        dtype=dtype,
        build=build,
        inputs={"tokens": token_rows(BASE_SCALE), "text": _text(config, dtype)},
        variables=_variables(int(config["sample_size"]) * BASE_SCALE, BASE_SCALE),
    )


@component("MuseSuperResolution")
def muse_super_resolution(config: Config, dtype: str) -> Component:
    """tokens (batch, height/8, width/8), low_res_tokens (batch, height/32, width/32), text (batch, tokens, width)."""

    def build() -> torch.nn.Module:
        from graphlab.architectures.muse_super_resolution import MuseSuperResolution

        return build_on_meta(lambda: MuseSuperResolution(**config), dtype)

    multiple = max(LOW_SCALE, HIGH_SCALE * int(config["block_size"]))
    return Component(
        class_name="MuseSuperResolution",
        dtype=dtype,
        build=build,
        inputs={
            "tokens": token_rows(HIGH_SCALE),
            "low_res_tokens": replace(token_rows(LOW_SCALE), role="condition"),  # finished before the loop
            "text": _text(config, dtype),
        },
        variables=_variables(int(config["sample_size"]) * HIGH_SCALE, multiple),
    )


def token_rows(scale: int) -> TensorInput:
    """Codebook indices (batch, height/scale, width/scale)."""
    return TensorInput(("batch", f"height // {scale}", f"width // {scale}"), "int64", role="tokens", axes=SIDES)


def _text(config: Config, dtype: str) -> TensorInput:
    return TensorInput(("batch", "tokens", int(config["text_width"])), dtype, role="text")


def _variables(side: int, multiple: int) -> tuple[Variable, ...]:
    sides = (
        Variable(name, side, f"image {name} in pixels", minimum=multiple, maximum=side, multiple_of=multiple)
        for name in ("height", "width")
    )
    return (*sides, Variable("batch", 1, "images per generation"), Variable("tokens", 128, "text tokens"))
