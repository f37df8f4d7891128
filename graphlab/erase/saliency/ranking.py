"""From scores to a mask: the highest (or, as an ablation, lowest) share of entries, ties broken by their place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from graphlab.erase.errors import EraseError
from graphlab.erase.saliency.config import Keep, Ranking

_DIGIT = 16
"""Bits of a score looked at in one go."""


def kept(scores: Mapping[str, torch.Tensor], fraction: float, ranking: Ranking, keep: Keep) -> dict[str, torch.Tensor]:
    """{key: boolean tensor} of the entries that are kept, of `scores` {key: tensor, 0 or more}.

    Within each tensor, or over all of them, the nearest whole number to `fraction` of the entries is kept (half rounds
    up). Where scores are equal the entry that comes first is kept: tensors in the order given, entries in row-major
    order. "top" keeps no entry of score 0, which nothing speaks for. EraseError for negative scores and NaN.
    """
    for name, values in scores.items():
        if not bool((values >= 0).all()):
            raise EraseError(f"a score of {name} is negative or no number")
    groups = [list(scores)] if ranking == "global" else [[name] for name in scores]
    found: dict[str, torch.Tensor] = {}
    for names in groups:
        found.update(zip(names, _kept([scores[name] for name in names], fraction, keep), strict=True))
    return found


def _kept(parts: Sequence[torch.Tensor], fraction: float, keep: Keep) -> list[torch.Tensor]:
    dtype = torch.float64 if any(part.dtype == torch.float64 for part in parts) else torch.float32
    parts = [part.to(dtype) for part in parts]
    count = int(fraction * sum(part.numel() for part in parts) + 0.5)
    if keep == "top":
        count = min(count, sum(int(part.count_nonzero()) for part in parts))
    if not count:
        return [torch.zeros_like(part, dtype=torch.bool) for part in parts]
    cut, equal = _cut(parts, count, keep, dtype.itemsize * 8)
    made = []
    for part in parts:
        bits = _bits(part)
        mask = bits > cut if keep == "top" else bits < cut
        first = (bits == cut).nonzero().squeeze(1)[:equal]
        mask[first] = True
        equal -= len(first)
        made.append(mask.view(part.shape))
    return made


def _bits(part: torch.Tensor) -> torch.Tensor:
    """Floats that are 0 or more as integers (entries,) in the same order."""
    positive = part.contiguous().flatten() + 0.0  # -0 becomes 0
    return positive.view(torch.int64 if part.dtype == torch.float64 else torch.int32)


def _cut(parts: Sequence[torch.Tensor], count: int, keep: Keep, width: int) -> tuple[int, int]:
    """(the score, as `_bits` gives it, where `count` entries are full; how many of that score are still among them).

    Digit by digit from the highest: a histogram of one digit, of the entries whose higher digits are already known,
    tells the next. So no tensor is sorted, or put together with others.
    """
    known = 0
    for shift in range(width - _DIGIT, -1, -_DIGIT):
        histogram = torch.zeros(1 << _DIGIT, dtype=torch.int64)
        for part in parts:
            bits = _bits(part)
            alike = bits[(bits >> (shift + _DIGIT)) == known] if shift + _DIGIT < width else bits
            digits = (alike >> shift) & ((1 << _DIGIT) - 1)
            histogram += torch.bincount(digits, minlength=1 << _DIGIT).cpu()
        running = (histogram.flip(0) if keep == "top" else histogram).cumsum(0)
        place = int(torch.searchsorted(running, count))
        count -= int(running[place - 1]) if place else 0
        known = (known << _DIGIT) | ((1 << _DIGIT) - 1 - place if keep == "top" else place)
    return known, count
