"""WDSR: a convolutional network that enlarges an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphlab.components.base import Component, Config, build_on_meta, component
from graphlab.workload import TensorInput, Variable

if TYPE_CHECKING:
    import torch

SIDE = 256
"""Height and width of the result where nobody says: the network takes any."""


@component("WDSR")
def wdsr(config: Config, dtype: str) -> Component:
    """image (batch, 3, height/scale, width/scale) -> image (batch, 3, height, width)."""

    def build() -> torch.nn.Module:
        from graphlab.architectures.wdsr import WDSR

        return build_on_meta(lambda: WDSR(config), dtype)

    scale = int(config["scale"])
    return Component(
        class_name="WDSR",
        dtype=dtype,
        build=build,
        inputs={"image": TensorInput(("batch", 3, f"height // {scale}", f"width // {scale}"), dtype, role="condition")},
        variables=(
            Variable("height", SIDE, "height of the result in pixels", minimum=scale, multiple_of=scale),
            Variable("width", SIDE, "width of the result in pixels", minimum=scale, multiple_of=scale),
            Variable("batch", 1, "images per generation"),
        ),
    )
