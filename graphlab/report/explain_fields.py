"""An explanation as names and texts, in reading order."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.report.data import AttentionRow
from graphlab.report.explain import Explanation, Operand
from graphlab.units import format_bytes, format_count, format_seconds, format_share


def title_of(item: Explanation) -> str:
    """The call's name and what it computes."""
    return f"{item.row.name}: {item.row.op}"


def explain_fields(item: Explanation) -> Iterator[tuple[str, str]]:
    """(name, text) of everything an Explanation says, in reading order."""
    row = item.row
    yield "stage", item.stage
    yield "source", row.source or "unknown"
    yield "module", f"{row.module or '(top level)'}{f' ({row.module_class})' if row.module_class else ''}"
    yield "category", row.category
    yield "role", row.role
    for operand in item.operands:
        yield "reads", _operand(operand)
    yield "output", f"{_shape(row.shape)} {row.dtype}"
    yield "read by", ", ".join(item.consumers) or "nobody: an output of the stage"
    yield from _costs(item)
    if item.attention is not None:
        yield from _attention(item.attention)
    yield "rewrites", item.rewrites


def _costs(item: Explanation) -> Iterator[tuple[str, str]]:
    def of_stage(share: float | None) -> str:
        return f", {format_share(share, 1)} of one call of the stage" if share is not None else ""

    row = item.row
    if row.flops is None:
        yield "FLOP", "unknown: this op has no rule"
    else:
        yield "FLOP", f"{row.flops} ({format_count(row.flops, 'FLOP')}{of_stage(item.flops_share)})"
        yield "pointwise FLOP", "unknown" if row.pointwise_flops is None else str(row.pointwise_flops)
    moved = f"{format_bytes(row.bytes_read)} read, {format_bytes(row.bytes_written)} written"
    yield "bytes", moved + of_stage(item.bytes_share)
    if row.seconds is not None:
        yield "ideal time", f"{format_seconds(row.seconds)}{of_stage(item.seconds_share)} (an estimate)"
    if item.intensity is not None:
        bound = f"; {item.bound} bound, the device turns at {item.ridge:.4g}" if item.bound and item.ridge else ""
        yield "FLOP per byte", f"{item.intensity:.4g}{bound}"


def _attention(row: AttentionRow) -> Iterator[tuple[str, str]]:
    causal = {True: "causal", False: "not causal", None: "causal or not: unknown"}[row.causal]
    how = "one fused op" if row.fused else "spelled out as products and a softmax"
    yield "attention", f"{row.kind or 'kind unknown'}, {row.axis or 'axis unknown'}, {causal}; {how}, at {row.node}"
    yield "queries", _size(row.q_tokens, row.q_tokens_expression)
    yield "keys", _size(row.kv_tokens, row.kv_tokens_expression)
    heads = "unknown" if row.heads is None else str(row.heads)
    yield "heads", f"{heads} of width {row.head_dim}, batch {row.batch}"


def _size(value: int, expression: str) -> str:
    return str(value) if expression == str(value) else f"{value} = {expression}"


def _operand(operand: Operand) -> str:
    known = f" {_shape(operand.shape)} {operand.dtype or 'of unknown dtype'}" if operand.shape is not None else ""
    return f"{operand.name} ({operand.kind}){known}"


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"
