"""Inputs that a class makes of numbers its pipeline passes, and that its exported model takes as tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from graphlab.onnx_pipeline.model_class import ModelClass


def with_derived(made: ModelClass, given: Mapping[str, Any]) -> dict[str, Any]:
    """`given`, with what a model of class `made` takes in the place of numbers."""
    if made.name == "LTXVideoTransformer3DModel" and given.get("video_coords") is None:
        return {**given, "video_coords": _video_coords(made.config, given)}
    return dict(given)


def _video_coords(config: Mapping[str, Any], given: Mapping[str, Any]) -> torch.Tensor:
    """Positions (batch, 3, frames x height x width) in frames and pixels, float32.

    The pipeline passes the three latent sizes and what a latent position is; patches are configured.
    """
    axes = [torch.arange(int(given[name]), dtype=torch.float32) for name in ("num_frames", "height", "width")]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij")).flatten(1)
    patches = (config["patch_size_t"], config["patch_size"], config["patch_size"])
    scale = [float(each) * patch for each, patch in zip(given["rope_interpolation_scale"], patches, strict=True)]
    positions = grid * torch.tensor(scale)[:, None]
    return positions.expand(len(given["hidden_states"]), *positions.shape).contiguous()
