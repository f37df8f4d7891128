"""How graphlab's operators, and ATen's where a target has better, are written in ONNX."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from graphlab.exporting import reshape
from graphlab.exporting.targets import Target
from graphlab.exporting.translations import activations, attention, norms, rotary, selection, splits
from graphlab.fused.registry import onnx_translations


def translations(target: Target) -> Mapping[Callable[..., Any], Callable[..., Any]]:
    """{operator: its translation for `target`}: what torch's exporter does not know, or says in a worse way."""
    return {
        **onnx_translations(),
        reshape.RESHAPE: reshape.onnx,
        **selection.translations(target),
        **splits.translations(target),
        **activations.translations(target),
        **norms.translations(target),
        **attention.translations(target),
        **rotary.translations(target),
    }
