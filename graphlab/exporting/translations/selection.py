"""Choosing between booleans: Where has no kernel for them in ONNX Runtime, And and Or do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from graphlab.exporting.contrib import node
from graphlab.exporting.targets import Target

aten = torch.ops.aten


def where(condition: Any, self: Any, other: Any) -> Any:
    """Where, or for booleans (condition and self) or (not condition and other)."""
    import onnx_ir as ir

    if self.dtype != ir.DataType.BOOL:
        return node("", "Where", (condition, self, other), {})
    kept = node("", "And", (condition, self), {})
    left = node("", "And", (node("", "Not", (condition,), {}), other), {})
    return node("", "Or", (kept, left), {})


def translations(_: Target) -> Mapping[Callable[..., Any], Callable[..., Any]]:
    """Those of selections, the same for every target."""
    return {aten.where.self: where}
