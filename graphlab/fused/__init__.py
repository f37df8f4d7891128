"""Fused operators, `graphlab::`. Importing this package registers them with torch and with the op table.

One file an operator holds all there is to it: definition in ATen, cost, axes and ONNX translation.
"""

from graphlab.fused import (
    geglu,
    group_norm_silu,
    multi_head_attention,
    quick_gelu,
    rotary_embedding,
    skip_layer_norm,
    skip_rms_norm,
)
from graphlab.fused.registry import FUSED, NAMESPACE, FusedOp, is_registered, onnx_translations

__all__ = [
    "FUSED",
    "NAMESPACE",
    "FusedOp",
    "geglu",
    "group_norm_silu",
    "is_registered",
    "multi_head_attention",
    "onnx_translations",
    "quick_gelu",
    "rotary_embedding",
    "skip_layer_norm",
    "skip_rms_norm",
]
