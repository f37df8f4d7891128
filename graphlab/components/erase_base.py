"""Parts of the small models of graphlab.erase: a diffusers U-Net over pixels, and the encoder of their prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphlab.components.base import Component, Config, build_on_meta, component
from graphlab.workload import TensorInput, Variable

if TYPE_CHECKING:
    import torch


@component("TextEncoder")
def prompt_encoder(config: Config, dtype: str) -> Component:
    """ids (batch, tokens) to encoded prompts (batch, tokens, 32); `tokens` is fixed, prompts are padded to it."""

    def build() -> torch.nn.Module:
        from graphlab.architectures.prompt_encoder import TextEncoder

        return build_on_meta(lambda: TextEncoder(int(config["vocabulary"]), int(config["tokens"])), dtype)

    return Component(
        class_name="TextEncoder",
        dtype=dtype,
        build=build,
        inputs={"ids": TensorInput(("batch", int(config["tokens"])), "int64", role="tokens")},
        variables=(Variable("batch", 1, "prompts"),),
    )


def unet_config(image: tuple[int, int, int], widths: tuple[int, int], heads: int, text: int) -> dict[str, Any]:
    """What diffusers' UNet2DConditionModel is made of for `image` (channels, height, width) and texts `text` wide.

    Two levels of `widths` channels. Attention is at 8 x 8 and nowhere else: at the first level for 8 x 8 images, at
    the second for 16 x 16.
    """
    channels, size, _ = image
    first = size == 8
    plain, attending = ("DownBlock2D", "UpBlock2D"), ("CrossAttnDownBlock2D", "CrossAttnUpBlock2D")
    levels = (attending, plain) if first else (plain, attending)
    return {
        "sample_size": size,
        "in_channels": channels,
        "out_channels": channels,
        "block_out_channels": widths,
        "layers_per_block": 1,
        "down_block_types": tuple(down for down, _ in levels),
        "up_block_types": tuple(up for _, up in reversed(levels)),
        "mid_block_type": "UNetMidBlock2D" if first else "UNetMidBlock2DCrossAttn",
        "cross_attention_dim": text,
        "attention_head_dim": heads,  # diffusers takes it for the number of heads
        "norm_num_groups": 4,
    }
