"""transformers.T5EncoderModel: the text encoder of SD3, FLUX, PixArt, DeepFloyd IF and many video models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphlab.components.base import Component, Config, build_on_meta, component
from graphlab.workload import TensorInput, Variable

if TYPE_CHECKING:
    import torch


@component("T5EncoderModel")
def t5_encoder(config: Config, dtype: str) -> Component:
    """input_ids (batch, tokens) and attention_mask (batch, tokens), 1 for a token and 0 for padding.

    SD3 and FLUX pass no mask: their stages override `attention_mask` with None. In float16 transformers keeps
    the feed-forward's `wo` in float32, and so does `build`.
    """

    def build() -> torch.nn.Module:
        from transformers import T5Config, T5EncoderModel

        configuration = T5Config.from_dict(dict(config))
        return build_on_meta(lambda: T5EncoderModel(configuration), dtype)

    return Component(
        class_name="T5EncoderModel",
        dtype=dtype,
        build=build,
        inputs={
            "input_ids": TensorInput(("batch", "tokens"), "int64", role="tokens"),
            "attention_mask": TensorInput(("batch", "tokens"), "int64", role="mask"),
        },
        variables=(
            Variable("batch", 1, "prompts"),
            Variable("tokens", 256, "text tokens, padding included"),
        ),
        assumptions=("the configuration sets no text length (relative positions): tokens is a choice",),
    )
