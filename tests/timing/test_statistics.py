"""Intervals and verdicts: closed forms, and properties any bootstrap of a median has."""

from __future__ import annotations

import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphlab.report.bench_data import Interval
from graphlab.timing.statistics import (
    LEAST_ROUNDS,
    Unpaired,
    bootstrap,
    rank_sum_spare,
    ratios,
    spare,
    spread,
    unpaired,
    verdict,
)

SECONDS = st.lists(st.floats(1e-6, 1e3), min_size=LEAST_ROUNDS, max_size=12)


def test_ratios_are_of_a_round() -> None:
    assert ratios([2.0, 6.0, 1.0], [1.0, 3.0, 4.0]) == [2.0, 2.0, 0.25]


def test_equal_rounds_leave_no_doubt() -> None:
    assert bootstrap([0.25] * 9) == Interval(0.25, 0.25)


@pytest.mark.parametrize("rounds", range(LEAST_ROUNDS))
def test_too_few_rounds_have_no_interval(rounds: int) -> None:
    assert bootstrap([1.0] * rounds) is None


def test_the_least_rounds_are_those_whose_extremes_hold_the_median_in_95_of_100() -> None:
    misses = [2 * 0.5**rounds for rounds in (LEAST_ROUNDS - 1, LEAST_ROUNDS)]
    assert misses[0] > 0.05 > misses[1]


def test_an_interval_of_few_distinct_values_is_known_exactly() -> None:
    """Of 19 zeros and 1 one at most 2.5 % of medians are above 0, and five values at either end may go."""
    assert bootstrap([0.0] * 19 + [1.0]) == Interval(0.0, 0.0)
    assert bootstrap([0.0] * 5 + [1.0]) == Interval(0.0, 1.0)  # of 6 none may


@pytest.mark.parametrize(("count", "expected"), [(6, 0), (8, 0), (9, 1), (11, 1), (12, 2), (20, 5)])
def test_values_that_may_be_left_out_at_either_end(count: int, expected: int) -> None:
    """Tables of the sign test at 5 %: n = 9 allows 1, 12 allows 2, 20 allows 5."""
    assert spare(count) == expected


@given(SECONDS)
def test_an_interval_lies_within_the_data_and_around_its_median(values: list[float]) -> None:
    found = bootstrap(values, resamples=500)
    assert found is not None
    assert min(values) <= found.low <= float(numpy.median(values)) <= found.high <= max(values)


@given(SECONDS, st.sampled_from([0.5, 2.0, 8.0]))
def test_an_interval_scales_with_the_unit(values: list[float], factor: float) -> None:
    plain = bootstrap(values, resamples=200)
    scaled = bootstrap([factor * value for value in values], resamples=200)
    assert plain is not None
    assert scaled is not None
    assert (scaled.low, scaled.high) == (factor * plain.low, factor * plain.high)


def test_the_same_rounds_give_the_same_interval() -> None:
    values = [1.0, 1.1, 0.9, 1.3, 1.2, 0.8, 1.05]
    assert bootstrap(values, seed=3) == bootstrap(values, seed=3)


@pytest.mark.parametrize("rounds", [6, 7, 8, 13, 20])
def test_95_of_100_intervals_hold_the_median(rounds: int) -> None:
    rng = numpy.random.default_rng(0)
    found = [bootstrap(list(rng.normal(1.0, 0.1, size=rounds)), seed=n, resamples=200) for n in range(800)]
    held = sum(item is not None and item.low <= 1.0 <= item.high for item in found)
    assert held / 800 >= 0.935  # two standard deviations of such a count below 95 %


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (1.01, 1.2, "faster"),
        (0.8, 0.99, "slower"),
        (0.9, 1.1, "tie"),
        (1.0, 1.3, "tie"),
        (0.7, 1.0, "tie"),
        (1.0, 1.0, "tie"),
    ],
)
def test_a_tie_is_an_interval_with_1_in_it(low: float, high: float, expected: str) -> None:
    assert verdict(Interval(low, high)) == expected


def test_without_an_interval_nothing_is_claimed() -> None:
    assert verdict(None) == "unknown"


def test_spread_is_median_and_percentiles_on_straight_lines() -> None:
    middle, low, high = spread([float(value) for value in range(10, -1, -1)])
    assert (middle, low, high) == pytest.approx((5.0, 1.0, 9.0))


@pytest.mark.parametrize(("first", "other", "expected"), [(6, 6, 5), (8, 8, 13), (6, 20, 27), (20, 20, 127)])
def test_pairs_that_may_be_left_out_are_those_of_the_rank_sum_test(first: int, other: int, expected: int) -> None:
    """The critical values of Mann and Whitney's U at 5 %, two-sided, as printed in tables."""
    assert rank_sum_spare(first, other) == rank_sum_spare(other, first) == expected


def test_many_pairs_are_as_good_as_normal() -> None:
    exact = rank_sum_spare(50, 50)  # the largest that is counted
    assert abs(rank_sum_spare(51, 50) - exact * 51 / 50) < 0.02 * exact


@pytest.mark.parametrize("rounds", range(LEAST_ROUNDS))
def test_too_few_unpaired_rounds_have_no_interval(rounds: int) -> None:
    assert unpaired([1.0] * rounds, [1.0] * 20) is None
    assert unpaired([1.0] * 20, [1.0] * rounds) is None


def test_unpaired_samples_that_do_not_vary_leave_no_doubt() -> None:
    assert unpaired([0.5] * 8, [0.25] * 8) == Unpaired(Interval(2.0, 2.0), Interval(-0.25, -0.25))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(SECONDS, SECONDS)
def test_swapping_unpaired_samples_turns_their_intervals_round(first: list[float], other: list[float]) -> None:
    there, back = unpaired(first, other, resamples=200), unpaired(other, first, resamples=200)
    assert there is not None
    assert back is not None
    assert there.difference.low == pytest.approx(-back.difference.high, rel=1e-9)
    assert there.difference.high == pytest.approx(-back.difference.low, rel=1e-9)
    assert there.ratio.low == pytest.approx(1 / back.ratio.high, rel=1e-9)
    assert there.ratio.low <= numpy.median(first) / numpy.median(other) * (1 + 1e-9)
    assert there.ratio.high >= numpy.median(first) / numpy.median(other) * (1 - 1e-9)


@pytest.mark.parametrize(("first", "other"), [(6, 6), (6, 20), (20, 20)])
def test_an_unpaired_interval_holds_the_truth_as_often_as_it_says(first: int, other: int) -> None:
    rng = numpy.random.default_rng(7)
    samples = [(numpy.exp(0.1 * rng.standard_normal(n)) for n in (first, other)) for _ in range(200)]
    found = [unpaired(list(a), list(b), resamples=200) for a, b in samples]
    held = sum(item is not None and item.ratio.low <= 1 <= item.ratio.high for item in found)
    assert 186 <= held <= 200  # 95 % less three standard deviations: 186
