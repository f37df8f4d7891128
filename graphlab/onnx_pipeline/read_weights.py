"""Weights that a pipeline reads itself, beside the model that has them: they go into the model's config.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch

from graphlab.onnx_pipeline.layout import StageLayout
from graphlab.weights.source import WeightSource

SourceOf: TypeAlias = Callable[[str], WeightSource]
"""A stage to where its weights come from."""

_READ: Mapping[str, tuple[tuple[str, ...], str]] = {
    "AutoencoderKLLTXVideo": (("latents_mean", "latents_std"), "latent_channels"),
}
"""{class: (vectors its pipeline reads, the key of their length)}. Other autoencoders are configured with theirs, under
the same names."""


def with_read_weights(item: StageLayout, source_of: SourceOf | None) -> dict[str, Any]:
    """The content of config.json of `item`, with what its pipeline reads as lists; WeightsError where it has none."""
    config = dict(item.config or {})
    if source_of is None or item.made is None or item.made.name not in _READ:
        return config
    names, length = _READ[item.made.name]
    source, like = source_of(item.stage), torch.empty(int(config[length]), device="meta")
    # The stage holds the autoencoder as a part: `graphlab.components.decoding`.
    return config | {name: source.read(f"autoencoder.{name}", like).tolist() for name in names}
