"""Statistics of paired times: quantiles, ratios of a round, bootstrap intervals, and when two are a tie."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import comb
from statistics import NormalDist
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
_BLOCK = 4_000_000
"""Numbers held at once."""
_MANY_PAIRS = 2_500


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


@dataclass(frozen=True, slots=True)
class Unpaired:
    """Intervals for two samples that were not taken in turn: median(first) / median(other), and other less first."""

    ratio: Interval
    difference: Interval


def unpaired(first: Sequence[float], other: Sequence[float], *, resamples: int = RESAMPLES) -> Unpaired | None:
    """The bootstrap intervals of median(first) / median(other) and of median(other) - median(first).

    Both samples are drawn anew, each on its own; None where either has fewer than LEAST_ROUNDS. Swapping the two gives
    the inverse. Neither is narrower than what the rank-sum test leaves: all ratios (differences) by which every value
    of one sample could be another of the other, so that 6 rounds of each hold the truth as often as they should.
    """
    if min(len(first), len(other)) < LEAST_ROUNDS:
        return None
    sides: list[NDArray[Any]] = [numpy.sort(numpy.asarray(values, dtype=numpy.float64)) for values in (first, other)]
    drawn = [[_medians(values, seed, resamples // 2) for seed in (0, 1)] for values in sides]
    pairs = [(drawn[0][seed], drawn[1][1 - seed]) for seed in (0, 1)]  # the same draws whichever side comes first
    logs = numpy.concatenate([numpy.log(one) - numpy.log(two) for one, two in pairs])
    ratio = _outer(logs, *map(numpy.log, sides))
    shift = _outer(numpy.concatenate([two - one for one, two in pairs]), sides[1], sides[0])
    return Unpaired(Interval(math.exp(ratio.low), math.exp(ratio.high)), shift)


def _medians(values: NDArray[Any], seed: int, resamples: int) -> NDArray[Any]:
    """Medians of `resamples` draws with replacement, a block that fits into memory at a time."""
    rng = numpy.random.default_rng(seed)
    rows = max(1, min(resamples, _BLOCK // len(values)))
    starts = range(0, resamples, rows)
    sizes = [(min(rows, resamples - start), len(values)) for start in starts]
    return numpy.concatenate([numpy.median(values[rng.integers(0, len(values), size=size)], axis=1) for size in sizes])


def _outer(drawn: NDArray[Any], values: NDArray[Any], others: NDArray[Any]) -> Interval:
    """The wider end of the percentile interval of `drawn`, and of the rank-sum interval of the values.

    Samples with more pairs than a block holds are far too large for the two to differ.
    """
    rest = (1 - CONFIDENCE) / 2
    low, high = (float(end) for end in numpy.quantile(drawn, [rest, 1 - rest]))
    if values.size * others.size > _BLOCK:
        return Interval(low, high)
    pairs = numpy.sort(numpy.subtract.outer(values, others), axis=None)
    left_out = rank_sum_spare(values.size, others.size)
    return Interval(min(low, float(pairs[left_out])), max(high, float(pairs[-1 - left_out])))


@cache
def rank_sum_spare(first: int, other: int) -> int:
    """How many of the first x other pairs may be left out at either end and the rest still hold a shift of the two.

    Under no shift, the number of pairs of one sign has the Mann-Whitney distribution, whatever the values'; its counts
    are the coefficients of a Gaussian binomial, built one value of `first` at a time. It is normal for many pairs.
    """
    if first * other > _MANY_PAIRS:
        spread = math.sqrt(first * other * (first + other + 1) / 12)
        return int(first * other / 2 - NormalDist().inv_cdf(1 - (1 - CONFIDENCE) / 2) * spread)
    counts = [1]  # Gaussian binomial of (first + other) over first, by powers of q: numbers of arrangements
    for index in range(1, first + 1):
        widened = counts + [0] * (other + index)  # times (1 - q^(other + index))
        for power in range(len(counts)):
            widened[power + other + index] -= counts[power]
        for power in range(index, len(widened)):  # over (1 - q^index)
            widened[power] += widened[power - index]
        counts = widened[: index * other + 1]
    limit = (1 - CONFIDENCE) * sum(counts)
    below, found = 0, -1
    while 2 * (below + counts[found + 1]) <= limit:
        found += 1
        below += counts[found]
    return max(found, 0)
