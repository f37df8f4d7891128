"""Phenaki's masked transformer over the tokens of one window of video."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphlab.components.base import Component, Config, build_on_meta, component
from graphlab.workload import TensorInput, Variable

if TYPE_CHECKING:
    import torch


@component("PhenakiTransformer")
def phenaki_transformer(config: Config, dtype: str) -> Component:
    """tokens (batch, latent frames * rows * columns), encoder_hidden_states (batch, tokens, text width) -> logits.

    Rows and columns are height/patch and width/patch; `positions` of them and of `latent_frames` is the most.
    """

    def build() -> torch.nn.Module:
        from graphlab.architectures.phenaki import PhenakiTransformer

        return build_on_meta(lambda: PhenakiTransformer(config), dtype)

    patch, latent = int(config["patch"]), int(config["latent_frames"])
    length = f"{latent} * (height // {patch}) * (width // {patch})"
    side = patch * int((int(config["positions"]) // latent) ** 0.5)
    packed = TensorInput(("batch", length), "int64", role="tokens", axes={1: ("frames", "height", "width")})
    text = TensorInput(("batch", "tokens", int(config["text_width"])), dtype, role="text")
    return Component(
        class_name="PhenakiTransformer",
        dtype=dtype,
        build=build,
        inputs={"tokens": packed, "encoder_hidden_states": text},
        variables=(
            Variable("height", side, "video height in pixels", minimum=patch, maximum=side, multiple_of=patch),
            Variable("width", side, "video width in pixels", minimum=patch, maximum=side, multiple_of=patch),
            Variable("batch", 1, "videos per generation"),
            Variable("tokens", 128, "text tokens, padding included"),
        ),
    )
