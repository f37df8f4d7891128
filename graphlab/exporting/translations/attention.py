"""Attention over packed heads: com.microsoft MultiHeadAttention, or the standard's Attention."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from graphlab.exporting.contrib import contrib
from graphlab.exporting.targets import Target
from graphlab.fused.multi_head_attention import MULTI_HEAD_ATTENTION


def multi_head_attention(
    query: Any, key: Any, value: Any, heads: int, bias: Any = None, causal: bool = False, scale: float | None = None
) -> Any:
    """MultiHeadAttention; `bias` is added to the scores."""
    attributes: dict[str, Any] = {"num_heads": heads}
    if causal:
        attributes["unidirectional"] = 1
    if scale is not None:
        attributes["scale"] = scale
    return contrib("MultiHeadAttention", query, key, value, None, None, bias, **attributes)


def translations(target: Target) -> Mapping[Callable[..., Any], Callable[..., Any]]:
    """Those of attention for `target`; scaled_dot_product_attention has torch's own: Attention from opset 23 on."""
    return {MULTI_HEAD_ATTENTION: multi_head_attention} if target.has("MultiHeadAttention") else {}
