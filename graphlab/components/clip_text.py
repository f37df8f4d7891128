"""transformers.CLIPTextModel and CLIPTextModelWithProjection: CLIP-L, OpenCLIP-H and bigG text encoders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from graphlab.components.base import Component, Config, build_on_meta, component
from graphlab.workload import TensorInput, Variable

if TYPE_CHECKING:
    import torch

# Defaults of CLIPTextConfig that decide the inputs; a test compares them with the class.
DEFAULTS: Mapping[str, Any] = {"max_position_embeddings": 77}


@component("CLIPTextModel")
def clip_text(config: Config, dtype: str) -> Component:
    """input_ids (batch, tokens), at most max_position_embeddings of them."""
    return _clip("CLIPTextModel", config, dtype)


@component("CLIPTextModelWithProjection")
def clip_text_with_projection(config: Config, dtype: str) -> Component:
    """input_ids (batch, tokens); as CLIPTextModel, and the pooled token projected to projection_dim."""
    return _clip("CLIPTextModelWithProjection", config, dtype)


def _clip(class_name: str, config: Config, dtype: str) -> Component:
    text = dict(config.get("text_config") or config)

    def build() -> torch.nn.Module:
        import transformers

        configuration = transformers.CLIPTextConfig.from_dict(text)
        return build_on_meta(lambda: getattr(transformers, class_name)(configuration), dtype)

    longest = int({**DEFAULTS, **text}["max_position_embeddings"])
    return Component(
        class_name=class_name,
        dtype=dtype,
        build=build,
        # No attention_mask: every pipeline pads to the full length and encodes the padding.
        inputs={"input_ids": TensorInput(("batch", "tokens"), "int64", role="tokens")},
        variables=(
            Variable("batch", 1, "prompts"),
            Variable("tokens", longest, "text tokens, padding included", maximum=longest),
        ),
    )
