"""Sentences that figures share: why one is empty, how numbers of one kind are shown in a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from graphlab.report.figure import Value

NO_SWEEPS = "other sizes are not worked out: sweeps are switched off"


def why_empty(rows: Iterable[Mapping[str, Value]], reason: str) -> tuple[str, ...]:
    """(`reason`,) where there are no rows."""
    return () if any(True for _ in rows) else (reason,)


def distinct(*groups: Iterable[str]) -> tuple[str, ...]:
    """All sentences of `groups` in order, each once."""
    return tuple(dict.fromkeys(line for group in groups for line in group))


def places(values: Iterable[float], unit: str) -> str:
    """ "at 512 px and 700 px", or "nowhere in the range"."""
    shown = [f"{value:.0f} {unit}".strip() for value in values]
    return f"at {' and '.join(shown)}" if shown else "nowhere in the range"
