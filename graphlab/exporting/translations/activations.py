"""Activations: ONNX Runtime has x * sigmoid(a x) as one kernel, and an exact gelu."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from graphlab.exporting.contrib import contrib, node
from graphlab.exporting.targets import Target
from graphlab.fused.geglu import GEGLU
from graphlab.fused.quick_gelu import QUICK_GELU
from graphlab.fused.registry import opset18

aten = torch.ops.aten


def silu(x: Any) -> Any:
    """x * sigmoid(x): com.microsoft QuickGelu with alpha 1."""
    return contrib("QuickGelu", x, alpha=1.0)


def quick_gelu(x: Any, alpha: float = 1.702) -> Any:
    """com.microsoft QuickGelu."""
    return contrib("QuickGelu", x, alpha=alpha)


def gelu(x: Any, approximate: str = "none") -> Any:
    """Gelu of opset 20."""
    return node("", "Gelu", (x,), {"approximate": approximate})


def fused_gelu(x: Any, approximate: str = "none") -> Any:
    """com.microsoft Gelu, or FastGelu for the tanh form."""
    return contrib("FastGelu" if approximate == "tanh" else "Gelu", x)


def geglu(x: Any, approximate: str = "none", gate_first: bool = False) -> Any:
    """Split, Gelu, Mul."""
    first, second = node("", "Split", (x,), {"axis": -1, "num_outputs": 2}, outputs=2)
    hidden, gate = (second, first) if gate_first else (first, second)
    return node("", "Mul", (hidden, gelu(gate, approximate)), {})


def fused_geglu(x: Any, approximate: str = "none", gate_first: bool = False) -> Any:
    """Split, com.microsoft Gelu, Mul: no kernel of the CPU provider does more."""
    first, second = node("", "Split", (x,), {"axis": -1, "num_outputs": 2}, outputs=2)
    hidden, gate = (second, first) if gate_first else (first, second)
    return node("", "Mul", (hidden, fused_gelu(gate, approximate)), {})


_SPLIT_WIDTHS = (2560, 5120, 10240)
"""Widths BiasSplitGelu has kernels for (onnxruntime contrib_ops/cuda/diffusion/bias_split_gelu.cc)."""


def split_gelu(x: Any, approximate: str = "none", gate_first: bool = False) -> Any:
    """com.microsoft BiasSplitGelu with a bias of zeros where it has a kernel: (b, t, width), the gate last."""
    if len(x.shape) != 3 or x.shape[-1] not in _SPLIT_WIDTHS or gate_first or approximate != "none":
        return fused_geglu(x, approximate, gate_first)
    op = opset18()
    zeros = op.CastLike(op.ConstantOfShape(op.Constant(value_ints=[x.shape[-1]])), x)
    return contrib("BiasSplitGelu", x, zeros)


def translations(target: Target) -> Mapping[Callable[..., Any], Callable[..., Any]]:
    """Those of activations for `target`."""
    found: dict[Callable[..., Any], Callable[..., Any]] = {}
    if target.opset >= 20:
        found |= {aten.gelu.default: gelu, GEGLU: geglu}
    if target.has("Gelu") and target.has("FastGelu"):
        found |= {aten.gelu.default: fused_gelu, GEGLU: fused_geglu}
    if target.has("BiasSplitGelu"):
        found[GEGLU] = split_gelu
    if target.has("QuickGelu"):
        found |= {aten.silu.default: silu, QUICK_GELU: quick_gelu}
    return found
