"""Where a mask sits: set entries by weight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from graphlab.erase.saliency.packed import PackedMasks


@dataclass(frozen=True, slots=True)
class DensityRow:
    """A weight `key` of `shape`: `kept` of its `entries` are set."""

    key: str
    shape: tuple[int, ...]
    entries: int
    kept: int

    @property
    def density(self) -> float:
        """Share of the entries that are set, 0 to 1."""
        return self.kept / self.entries


def densities(masks: Mapping[str, torch.Tensor]) -> tuple[DensityRow, ...]:
    """A row for every weight of `masks` {key: boolean tensor}, in their order."""
    rows = []
    for key in masks:
        if isinstance(masks, PackedMasks):
            shape, kept = masks.shape(key), masks.set_entries(key)
        else:
            shape, kept = masks[key].shape, int(masks[key].count_nonzero())
        rows.append(DensityRow(key, tuple(shape), shape.numel(), kept))
    return tuple(rows)


def density(rows: tuple[DensityRow, ...]) -> float:
    """Share of all entries that are set: sum of kept / sum of entries."""
    return sum(row.kept for row in rows) / sum(row.entries for row in rows)
