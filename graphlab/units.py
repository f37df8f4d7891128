"""The only place that reads or writes unit prefixes. Inside graphlab: int FLOP, int bytes, float seconds."""

from __future__ import annotations

_DECIMAL = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_BINARY = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))
_TIME = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))


def format_count(value: int | float, unit: str = "") -> str:
    """`value` with a decimal prefix and four significant digits: 803273441280, "FLOP" -> "803.3 GFLOP"."""
    found = _scaled(value, _DECIMAL)
    return f"{found}{unit}".rstrip() if found is not None else f"{value:g} {unit}".rstrip()


def format_bytes(value: int | float) -> str:
    """`value` bytes with a binary prefix: 1610612736 -> "1.5 GiB"."""
    return _scaled(value, _BINARY) or f"{value:g} B"


def format_seconds(value: float) -> str:
    """`value` seconds in s, ms, us or ns: 0.0123 -> "12.3 ms"."""
    return _scaled(value, _TIME) or (f"{value / 1e-9:.3g} ns" if value else "0 s")


def _scaled(value: int | float, scales: tuple[tuple[float, str], ...]) -> str | None:
    """`value` with four significant digits in the largest of `scales` that it reaches once rounded; None for none."""
    for scale, name in scales:
        if float(f"{abs(value) / scale:.4g}") >= 1:
            return f"{value / scale:.4g} {name}"
    return None


def format_share(part: int | float, whole: int | float) -> str:
    """`part` of `whole` as a percentage with one decimal; a dash when the whole is 0."""
    return f"{100 * part / whole:.1f} %" if whole else "-"


SCALES: dict[str, dict[str, float]] = {
    "": {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15},
    "FLOP": {"": 1, **{f"{prefix}{name}": 10.0**power for name in ("", "FLOP")
                       for prefix, power in (("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15))}, "FLOP": 1},
    "B": {"": 1, "B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30,
          "TiB": 2**40},
    "s": {"": 1, "s": 1, "ms": 1e-3, "us": 1e-6, "ns": 1e-9},
}  # fmt: skip
"""{base unit: {unit a user may write: how many base units it is}}; "" is a plain count."""


def format_value(value: int | float, unit: str) -> str:
    """`value` of a base unit of SCALES with its prefix: 1024, "B" -> "1 KiB"; a count below a million in full."""
    if unit == "B":
        return format_bytes(value)
    if unit == "s":
        return f"-{format_seconds(-value)}" if value < 0 else format_seconds(value)
    if not unit and isinstance(value, int) and abs(value) < _EXACT:
        return str(value)
    return format_count(value, unit)


_EXACT = 1_000_000
"""Counts below are written out: one node more is not to be rounded away."""
