"""Attention over packed heads: com.microsoft MultiHeadAttention, or the standard's Attention."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from graphlab.exporting.contrib import contrib, node
from graphlab.exporting.targets import Target
from graphlab.fused.multi_head_attention import MULTI_HEAD_ATTENTION

FEW_KEYS = 64
"""Keys up to which ONNX Runtime's Attention is the faster of the two on CPUs (docs/export_benchmarks.md).

MultiHeadAttention streams over the keys, which pays where there are many: it holds no matrix of scores.
"""


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


def short_or_long(
    query: Any, key: Any, value: Any, heads: int, bias: Any = None, causal: bool = False, scale: float | None = None
) -> Any:
    """Attention where every query sees few keys, MultiHeadAttention elsewhere and where their number is not known."""
    import onnx_ir as ir

    keys = key.shape[1]
    few = isinstance(keys, int) and 0 < keys <= FEW_KEYS and query.dtype == ir.DataType.FLOAT
    if bias is not None or causal or not few:
        return multi_head_attention(query, key, value, heads, bias, causal, scale)
    attributes: dict[str, Any] = {"q_num_heads": heads, "kv_num_heads": heads}
    if scale is not None:
        attributes["scale"] = scale
    return node("", "Attention", (query, key, value), attributes)


def translations(target: Target) -> Mapping[Callable[..., Any], Callable[..., Any]]:
    """Those of attention for `target`; scaled_dot_product_attention has torch's own: Attention from opset 23 on."""
    if not target.has("MultiHeadAttention"):
        return {}
    on_cpus = target.provider == "CPUExecutionProvider"
    chosen = short_or_long if on_cpus and target.opset >= 23 else multi_head_attention
    return {MULTI_HEAD_ATTENTION: chosen}
