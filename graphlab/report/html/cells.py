"""Numbers as a table shows them; `app.js` writes the same text for the rows it draws."""

from __future__ import annotations

from graphlab.report.figure import Value
from graphlab.units import format_bytes, format_count, format_seconds

DASH = "\N{EN DASH}"
_PREFIXED = ("FLOP", "FLOP/s", "FLOP/B", "B/s")


def cell(value: Value, unit: str) -> str:
    """`value` in base `unit` as text: 0.0123, "s" -> "12.3 ms"; 4096, "" -> "4,096"; 0.25, "share" -> "25.0 %".

    None is a dash. Units without prefixes of their own ("token", "step", ...) follow the number as they are.
    """
    if value is None:
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if unit == "s":
        return format_seconds(value)
    if unit == "B":
        return format_bytes(value)
    if unit == "share":
        return f"{100 * value:.1f} %"
    if unit in _PREFIXED and abs(value) >= 1e3:
        return format_count(value, unit)
    text = f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
    return f"{text} {unit}".rstrip()
