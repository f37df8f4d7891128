"""ONNX operators as ATen calls, one family a file. Importing this package fills the table of translations."""

from graphlab.onnx_graph.translations import (
    attention,
    contraction,
    convolution,
    creation,
    elementwise,
    lookup,
    microsoft,
    normalization,
    quantized,
    reduction,
    resampling,
    rotary,
    views,
)

__all__ = [
    "attention",
    "contraction",
    "convolution",
    "creation",
    "elementwise",
    "lookup",
    "microsoft",
    "normalization",
    "quantized",
    "reduction",
    "resampling",
    "rotary",
    "views",
]
