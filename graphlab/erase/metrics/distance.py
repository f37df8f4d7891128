"""How far a set of images is from real ones: the kernel distance of features, with an interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch

from graphlab.erase.errors import EraseError
from graphlab.report.decoding import SIGNED


@dataclass(frozen=True, slots=True)
class Distance:
    """`value`, and the `low` and `high` of its 95 % bootstrap interval."""

    value: Annotated[float, SIGNED]
    low: Annotated[float, SIGNED]
    high: Annotated[float, SIGNED]


def kernel_distance(first: torch.Tensor, second: torch.Tensor) -> float:
    """KID: the unbiased squared MMD of features (images, width) under the kernel k(a, b) = (a b / width + 1)^3.

    mean over i != j of k(x_i, x_j) + mean over i != j of k(y_i, y_j) - 2 mean over i, j of k(x_i, y_j). It is 0 in
    expectation for two samples of one distribution, so it can be negative. Report it from 1,024 images a side on.
    EraseError for fewer than two images or other widths.
    """
    x, y = (part.double() for part in _checked(first, second))
    return _unbiased(_kernel(x, x)) + _unbiased(_kernel(y, y)) - 2 * float(_kernel(x, y).mean())


def distance(
    made: torch.Tensor, real: torch.Tensor, *, draws: int = 1000, seed: int = 0, confidence: float = 0.95
) -> Distance:
    """The kernel distance with a bootstrap over the images made; the real ones stay.

    An image drawn twice is not paired with itself: it would be taken for an agreement.
    """
    x, y = (part.double() for part in _checked(made, real))
    own, real_part, across = _kernel(x, x), _unbiased(_kernel(y, y)), _kernel(x, y).mean(1)
    generator = torch.Generator().manual_seed(seed)
    found = torch.empty(draws, dtype=torch.float64)
    for index in range(draws):
        weight = torch.bincount(torch.randint(len(x), (len(x),), generator=generator), minlength=len(x)).double()
        pairs = weight @ own @ weight - (weight.square() * own.diagonal()).sum()
        count = weight.sum() ** 2 - weight.square().sum()
        found[index] = pairs / count + real_part - 2 * (weight @ across) / weight.sum()
    tail = (1 - confidence) / 2
    low, high = torch.quantile(found, torch.tensor([tail, 1 - tail], dtype=torch.float64)).tolist()
    return Distance(kernel_distance(made, real), low, high)


def _kernel(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _unbiased(kernel: torch.Tensor) -> float:
    count = len(kernel)
    return float((kernel.sum() - kernel.diagonal().sum()) / (count * (count - 1)))


def _checked(first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise EraseError(f"features {tuple(first.shape)} and {tuple(second.shape)} cannot be compared")
    if min(len(first), len(second)) < 2:
        raise EraseError("a kernel distance takes at least two images a side")
    return first, second
