"""C-ViViT's two halves: video to tokens, and tokens to video."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphlab.components.base import Component, Config, build_on_meta, component
from graphlab.components.video import latent_frames, video_variables
from graphlab.workload import Argument, Size, TensorInput

if TYPE_CHECKING:
    import torch


@component("CViViTEncoder")
def cvivit_encoder(config: Config, dtype: str) -> Component:
    """video (batch, 3, frames, height, width) -> tokens (batch, latent frames, height/patch, width/patch)."""
    return _component("CViViTEncoder", config, dtype, {"video": video_input("frames", dtype)})


@component("CViViTDecoder")
def cvivit_decoder(config: Config, dtype: str) -> Component:
    """tokens (batch, latent frames, height/patch, width/patch) -> video (batch, 3, frames, height, width)."""
    frames = latent_frames(int(config["frames_per_latent"]))
    return _component("CViViTDecoder", config, dtype, {"tokens": tokens_input(frames, int(config["patch"]))})


def video_input(frames: Size, dtype: str) -> TensorInput:
    """A video of `frames` frames: 1 + pair * n of them."""
    return TensorInput(("batch", 3, frames, "height", "width"), dtype, role="condition")


def tokens_input(frames: Size, patch: int) -> TensorInput:
    """The grid of codebook indices of `frames` latent frames."""
    return TensorInput(
        ("batch", frames, f"height // {patch}", f"width // {patch}"),
        "int64",
        role="tokens",
        axes={1: ("frames",), 2: ("height",), 3: ("width",)},
    )


def _component(class_name: str, config: Config, dtype: str, inputs: dict[str, Argument]) -> Component:
    def build() -> torch.nn.Module:
        from graphlab.architectures import cvivit

        return build_on_meta(lambda: getattr(cvivit, class_name)(config), dtype)

    patch, ratio = int(config["patch"]), int(config["frames_per_latent"])
    side = int(config["grid"]) * patch
    frames = 1 + (int(config["latent_frames"]) - 1) * ratio
    return Component(
        class_name=class_name,
        dtype=dtype,
        build=build,
        pixels_per_latent=patch,
        frames_per_latent=ratio,
        inputs=inputs,
        variables=video_variables(side, side, frames, multiple_of=patch, most_frames=frames),
    )
