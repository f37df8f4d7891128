"""Shares of images that a judge recognises, and the two summaries of the literature."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from graphlab.erase.errors import EraseError

ABSTAINED = -1
"""The label of an image that a judge takes for none it knows."""
LEAST_IMAGES = 256
"""Images a cell that is reported should have: a share is then within 6 points (95 %)."""


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` of `count` images; `value` is their quotient. EraseError for more hits than images."""

    hits: int
    count: int

    def __post_init__(self) -> None:
        if not 0 <= self.hits <= self.count:
            raise EraseError(f"{self.hits} of {self.count} images is no share")

    @property
    def value(self) -> float:
        """hits / count."""
        return self.hits / self.count

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval by Wilson: (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n) with z = 1.96."""
        z, n, p = 1.959964, self.count, self.value
        middle, reach = p + z * z / (2 * n), z * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
        return max(0.0, (middle - reach) / (1 + z * z / n)), min(1.0, (middle + reach) / (1 + z * z / n))


def recognised(labels: torch.Tensor, wanted: int | torch.Tensor) -> Share:
    """Images labelled as wanted, of `labels` (images,); Acc_e for the erased concept, Acc_p for one that is kept.

    `wanted` is one label or one an image. No threshold of its own: the judge's abstention (ABSTAINED) counts as not
    recognised. Report it from LEAST_IMAGES images on. EraseError for no images.
    """
    _some(labels)
    return Share(int((labels == wanted).sum()), len(labels))


def valid(labels: torch.Tensor) -> Share:
    """Images that are anything the judge knows: the share of `labels` (images,) that is not ABSTAINED.

    An erased concept that turns into noise scores 0 here and perfectly on Acc_e alone. The threshold is the judge's
    own; report it from LEAST_IMAGES images on. EraseError for no images.
    """
    _some(labels)
    return Share(int((labels != ABSTAINED).sum()), len(labels))


def worst(shares: Mapping[str, Share]) -> tuple[str, Share]:
    """The kept class that suffered most: the smallest share, the first by name among equals.

    It is lower than the mean by chance alone, the more so the fewer images a class has: take LEAST_IMAGES of each.
    """
    if not shares:
        raise EraseError("there is no class to be the worst")
    return min(sorted(shares.items()), key=lambda item: item[1].value)


def replacements(labels: torch.Tensor) -> dict[int, float]:
    """{label: share} of what is drawn in the place of a concept, ABSTAINED included; they add up to 1.

    A share is the number of its label over that of all `labels` (images,); report them from LEAST_IMAGES images on. No
    threshold but the judge's. EraseError for no images.
    """
    _some(labels)
    found = Counter(labels.tolist())
    return {label: found[label] / len(labels) for label in sorted(found)}


def harmonic(acc_e: float, acc_p: float) -> float:
    """H_c = 2 / (1 / (1 - Acc_e) + 1 / Acc_p), both shares; 0 where the concept is whole or nothing is kept.

    It is of as many images as its shares are, LEAST_IMAGES of each and more, and has no threshold. EraseError for what
    is no share.
    """
    for value in (acc_e, acc_p):
        if not 0 <= value <= 1:
            raise EraseError(f"{value} is no share")
    return 0.0 if acc_e == 1 or acc_p == 0 else 2 / (1 / (1 - acc_e) + 1 / acc_p)


def difference(clip_p: float, clip_e: float) -> float:
    """H_a = CLIP_p - CLIP_e, a difference of CLIP scores and no mean, whatever its name says.

    Both are means over images, 2,500 each where it was published; there is no threshold.
    """
    return clip_p - clip_e


def _some(labels: Sequence[int] | torch.Tensor) -> None:
    if len(labels) == 0:
        raise EraseError("there are no images to judge")
