"""Statistics of paired times: quantiles, ratios of a round, bootstrap intervals, and when two are a tie."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from typing import TYPE_CHECKING, Any

import numpy

from graphlab.measuring.stage import quantile
from graphlab.report.bench_data import Interval, Verdict

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_ROUNDS = 6
"""Rounds below which no interval is given: 2 * 0.5**n of all samples lie on one side of the median, 6.3 % of n = 5."""
RESAMPLES = 4000
CONFIDENCE = 0.95
SEED = 0


def ratios(first: Sequence[float], other: Sequence[float]) -> list[float]:
    """How many times as fast as `first` the `other` was, round by round: seconds of first over seconds of other."""
    return [base / seconds for base, seconds in zip(first, other, strict=True)]


def bootstrap(values: Sequence[float], *, seed: int = SEED, resamples: int = RESAMPLES) -> Interval | None:
    """The percentile bootstrap interval of the median of `values`; None for fewer than LEAST_ROUNDS of them.

    Rounds are drawn with replacement; the same values and seed give the same interval. It is never narrower than the
    order statistics around a median, which hold it in CONFIDENCE of all cases: of 7 rounds the bootstrap alone leaves
    out the two extremes, and misses the median in 12.5 %.
    """
    if len(values) < LEAST_ROUNDS:
        return None
    data: NDArray[Any] = numpy.asarray(values, dtype=numpy.float64)
    rng = numpy.random.default_rng(seed)
    drawn = numpy.median(data[rng.integers(0, len(data), size=(resamples, len(data)))], axis=1)
    rest = (1 - CONFIDENCE) / 2
    low, high = numpy.quantile(drawn, [rest, 1 - rest])
    ordered, left_out = sorted(values), spare(len(values))
    return Interval(min(float(low), ordered[left_out]), max(float(high), ordered[-1 - left_out]))


def spare(count: int) -> int:
    """How many of `count` values may be left out at either end: the rest hold the median in CONFIDENCE of all cases.

    Whatever the distribution, each value lies below its median with probability 0.5: the number that do is binomial.
    """
    found, below = -1, 0
    while 2 * (below + comb(count, found + 1)) <= (1 - CONFIDENCE) * 2**count:
        found += 1
        below += comb(count, found)
    return found


def verdict(interval: Interval | None) -> Verdict:
    """What an interval of ratios says: "tie" where it contains 1, "unknown" without one."""
    if interval is None:
        return "unknown"
    if interval.low <= 1 <= interval.high:
        return "tie"
    return "faster" if interval.low > 1 else "slower"


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """(median, 10th percentile, 90th percentile) of `values`."""
    ordered = sorted(values)
    return quantile(ordered, 0.5), quantile(ordered, 0.1), quantile(ordered, 0.9)
