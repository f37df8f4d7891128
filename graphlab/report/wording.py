"""Names of quantities that are easily taken for one another, and marks for what is not known, the same everywhere.

Bytes read and written are counted in three ways. The names are for readers; keys of JSON and CSV are documented in
docs/json_schema.md.
"""

from __future__ import annotations

from graphlab.report.data import StageReport
from graphlab.report.group import Group
from graphlab.units import format_count, format_seconds

FUSED_BYTES = "fused bytes"
"""Every attention moves what a fused kernel does: its scores stay on the chip."""

MATERIALIZED_BYTES = "materialized bytes"
"""Every attention writes its scores to memory and reads them back, also one that the model calls as a fused op."""

ALL_FLOP = "all FLOP"
"""FLOP of contractions and of everything else together; "FLOP" alone are those of contractions."""

SPELLED_BYTES = "bytes as spelled"
"""Every call moves its own operands: a fused op no scores, an attention that is spelled out all of them."""

UNKNOWN = "unknown"
LEFT_OUT = "+: calls without a rule, whose FLOP are unknown, are not in it"
TIMED_LEFT_OUT = f"{LEFT_OUT}, and their times are those of their bytes alone"


def marked(text: str, unknown: int) -> str:
    """`text`, a sum, with "+" after it where `unknown` calls are not in it."""
    return f"{text}+" if unknown else text


def count_text(flops: int | None, unknown: int, unit: str = "") -> str:
    """`flops` with a prefix, "+" where `unknown` calls are not in it; "unknown" for None."""
    return UNKNOWN if flops is None else marked(format_count(flops, unit), unknown)


def time_text(group: Group) -> str:
    """Ideal time of `group`, "+" where calls without a rule are in it by their bytes alone."""
    return marked(format_seconds(group.seconds or 0.0), group.unknown)


def expression_text(stage: StageReport) -> str:
    """The FLOP of one call as an expression, with what is not in it; "unknown" where no call has a rule."""
    if stage.flops_expression is None:
        return UNKNOWN
    left = f", without those of {stage.unknown_nodes} calls without a rule" if stage.unknown else ""
    return stage.flops_expression + left
