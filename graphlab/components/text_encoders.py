"""Encoders of video models: UMT5 (Wan), Llama for its hidden states (HunyuanVideo), CLIP vision (SVD)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphlab.components.base import Component, Config, build_on_meta, component
from graphlab.workload import Argument, TensorInput, Variable

if TYPE_CHECKING:
    import torch


@component("UMT5EncoderModel")
def umt5_encoder(config: Config, dtype: str) -> Component:
    """input_ids (batch, tokens) and attention_mask (batch, tokens): multilingual T5, relative positions per layer."""

    def build() -> torch.nn.Module:
        from transformers import UMT5Config, UMT5EncoderModel

        configuration = UMT5Config.from_dict(dict(config))
        return build_on_meta(lambda: UMT5EncoderModel(configuration), dtype)

    return Component(
        class_name="UMT5EncoderModel",
        dtype=dtype,
        build=build,
        inputs=_tokens_and_mask(),
        variables=(Variable("batch", 1, "prompts"), Variable("tokens", 512, "text tokens, padding included")),
        assumptions=("the configuration sets no text length: tokens is a choice",),
    )


@component("LlamaModel")
def llama_text_encoder(config: Config, dtype: str) -> Component:
    """input_ids (batch, tokens) and attention_mask (batch, tokens) to hidden states (batch, tokens, width).

    The third from last is what HunyuanVideo reads; the last ones are computed all the same.
    """

    def build() -> torch.nn.Module:
        from graphlab.components.hidden_states import build_encoder

        return build_on_meta(lambda: build_encoder(config), dtype)

    return Component(
        class_name="LlamaModel",
        dtype=dtype,
        build=build,
        inputs=_tokens_and_mask(),
        variables=(Variable("batch", 1, "prompts"), Variable("tokens", 256, "text tokens, padding included")),
        assumptions=("the configuration sets no text length: tokens is a choice",),
    )


@component("CLIPVisionModelWithProjection")
def clip_vision_with_projection(config: Config, dtype: str) -> Component:
    """pixel_values (batch, channels, side, side) to image_embeds (batch, projection_dim)."""

    def build() -> torch.nn.Module:
        from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

        configuration = CLIPVisionConfig.from_dict(vision)
        return build_on_meta(lambda: CLIPVisionModelWithProjection(configuration), dtype)

    vision = dict(config.get("vision_config") or config)
    side = int(vision.get("image_size", 224))
    shape = ("batch", int(vision.get("num_channels", 3)), side, side)
    return Component(
        class_name="CLIPVisionModelWithProjection",
        dtype=dtype,
        build=build,
        inputs={"pixel_values": TensorInput(shape, dtype, role="condition")},
        variables=(Variable("batch", 1, "images"),),
    )


def _tokens_and_mask() -> dict[str, Argument]:
    return {
        "input_ids": TensorInput(("batch", "tokens"), "int64", role="tokens"),
        "attention_mask": TensorInput(("batch", "tokens"), "int64", role="mask"),
    }
