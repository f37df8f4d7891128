"""The projections a closed-form edit changes: keys and values of every cross-attention."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn

from graphlab.erase.errors import EraseError


def cross_attention_projections(model: nn.Module) -> dict[str, nn.Linear]:
    """{name: layer} of the keys and values that are made of text, in the model's order.

    In diffusers' U-Nets these are to_k and to_v of attn2. EraseError for a model that has none.
    """
    found = {
        name: layer
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Linear) and name.endswith(("attn2.to_k", "attn2.to_v"))
    }
    if not found:
        raise EraseError(f"{type(model).__name__} has no cross-attention from text (attn2.to_k, attn2.to_v)")
    widths = {layer.in_features for layer in found.values()}
    if len(widths) > 1:
        raise EraseError(f"its cross-attentions take texts of several widths: {sorted(widths)}")
    return found


@torch.no_grad()
def edit_projections(model: nn.Module, change: Callable[[str, torch.Tensor], torch.Tensor]) -> Mapping[str, float]:
    """Sets every projection's weight to `change(name, weight)`; {name: largest change}. Nothing else is touched.

    All are worked out before any is set: an error leaves the model as it was.
    """
    layers = cross_attention_projections(model)
    made = {name: change(name, layer.weight) for name, layer in layers.items()}
    moved = {name: float((made[name] - layer.weight).abs().max()) for name, layer in layers.items()}
    for name, layer in layers.items():
        layer.weight.copy_(made[name])
    return moved
