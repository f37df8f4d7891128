"""A `Placement` from its JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from graphlab.facts import PlacedWeight
from graphlab.masks.placement import PlacedMask, Placement
from graphlab.report.decoding import SIGNED, ReportFileError, decode


@dataclass(frozen=True, slots=True)
class _Weight:
    """A weight as the JSON has it."""

    layer: str
    role: str
    attention: str | None
    part: str | None
    entries: int
    set: int
    mean_score: float | None


@dataclass(frozen=True, slots=True)
class _Mask:
    """A mask as the JSON has it; ends of its range that are infinite are texts."""

    file: str
    log_snr: Annotated[tuple[float | str, float | str] | None, SIGNED]
    score: str | None
    weights: Mapping[str, _Weight]


@dataclass(frozen=True, slots=True)
class _Saved:
    source: str
    stage: str
    masks: tuple[_Mask, ...]


def placement_of(data: dict[str, Any]) -> Placement:
    """What `to_json` wrote as `data`; ReportFileError where it says something else."""
    found = decode(_Saved, data)
    return Placement(found.source, found.stage, tuple(map(_mask, found.masks)))


def _mask(mask: _Mask) -> PlacedMask:
    rows = tuple(
        PlacedWeight(key, row.layer, row.role, row.attention, row.part, row.entries, row.set, row.mean_score)
        for key, row in mask.weights.items()
    )
    ends = None if mask.log_snr is None else (_end(mask.log_snr[0]), _end(mask.log_snr[1]))
    return PlacedMask(mask.file, rows, ends, mask.score)


def _end(value: float | str) -> float:
    if isinstance(value, str) and value not in ("inf", "-inf"):
        raise ReportFileError(f"an end of log_snr is {value[:40]!r}, expected a number, inf or -inf")
    return float(value)
