"""Where two series cross, and how steeply one grows: read off the points there are, never beyond them."""

from __future__ import annotations

import math
from collections.abc import Sequence


def crossings(x: Sequence[float], a: Sequence[float], b: Sequence[float]) -> list[float]:
    """Where `a` and `b` over `x` are equal, by straight lines in log-log between neighbours; [] for nowhere in range.

    `x` rises; points at which any of the three is not positive have no logarithm and end the line. ValueError for
    lengths that differ.
    """
    found: list[float] = []
    previous: tuple[float, float] | None = None
    for place, first, second in zip(x, a, b, strict=True):
        if min(place, first, second) <= 0:
            previous = None
            continue
        point = (math.log(place), math.log(first) - math.log(second))
        if point[1] == 0:
            found.append(float(place))
        elif previous is not None and previous[1] * point[1] < 0:
            share = previous[1] / (previous[1] - point[1])
            found.append(math.exp(previous[0] + share * (point[0] - previous[0])))
        previous = point
    return found


def exponent(x: tuple[float, float], y: tuple[float, float]) -> float | None:
    """p of y ~ x^p between two points; None where one of the numbers has no logarithm or `x` stands still."""
    if min(*x, *y) <= 0 or x[0] == x[1]:
        return None
    return math.log(y[1] / y[0]) / math.log(x[1] / x[0])
