"""Reading between the points of a table."""

from __future__ import annotations

import math
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphlab.calibration.data import Table
from graphlab.calibration.grid import Grid, gaps

M, N = (1, 8, 64, 512), (4, 32, 256)
SECONDS = st.floats(1e-7, 1.0)


def table(seconds: list[float]) -> Table:
    return Table("t", ("m", "n"), dict(zip(product(M, N), seconds, strict=True)))


TABLES = st.lists(SECONDS, min_size=len(M) * len(N), max_size=len(M) * len(N)).map(table)


@given(TABLES)
def test_exact_at_every_point(known: Table) -> None:
    grid = Grid(known)
    for sizes, seconds in known.points.items():
        assert grid.seconds(sizes) == pytest.approx(seconds, rel=1e-9)


@given(TABLES, st.integers(1, 10**6), st.integers(1, 10**6))
def test_positive_and_finite_everywhere(known: Table, m: int, n: int) -> None:
    found = Grid(known).seconds([m, n])
    assert found > 0
    assert math.isfinite(found)


@given(st.lists(SECONDS, min_size=4, max_size=4), st.integers(1, 2000), st.integers(1, 2000))
def test_monotone_where_the_points_are(seconds: list[float], first: int, second: int) -> None:
    known = Table("t", ("m",), {(m,): s for m, s in zip(M, sorted(seconds), strict=True)})
    low, high = sorted((first, second))
    grid = Grid(known)
    assert grid.seconds([low]) <= grid.seconds([high]) * (1 + 1e-9)


@given(TABLES, st.integers(1, 10**4), st.integers(1, 10**4))
def test_rates_stay_between_those_of_the_points(known: Table, m: int, n: int) -> None:
    rates = [math.prod(sizes) / seconds for sizes, seconds in known.points.items()]
    work = max(m, M[0]) * max(n, N[0])
    assert min(rates) * (1 - 1e-9) <= work / Grid(known).seconds([m, n]) <= max(rates) * (1 + 1e-9)


@given(TABLES, st.integers(2, 50))
def test_constant_rate_beyond_the_grid(known: Table, times: int) -> None:
    grid = Grid(known)
    assert grid.seconds([M[-1] * times, N[-1]]) == pytest.approx(times * known.points[M[-1], N[-1]], rel=1e-9)


@given(TABLES, st.integers(1, 3))
def test_constant_time_below_the_grid(known: Table, n: int) -> None:
    assert Grid(known).seconds([8, n]) == pytest.approx(known.points[8, 4], rel=1e-9)


def test_sizes_too_large_to_measure_take_the_best_smaller_rate() -> None:
    known = Table("t", ("m", "n"), {(1, 1): 1.0, (1, 10): 5.0, (10, 1): 2.0})
    assert Grid(known).seconds([10, 10]) == pytest.approx(100 / 5)


def test_a_class_is_no_work() -> None:
    known = Table("t", ("images", "m"), {(1, 10): 1.0, (1, 100): 10.0, (2, 10): 3.0, (2, 100): 30.0})
    grid = Grid(known)
    assert grid.seconds([1, 50]) == pytest.approx(5.0)
    assert grid.seconds([2, 50]) == pytest.approx(15.0)
    assert grid.seconds([64, 50]) == pytest.approx(15.0)


def test_gaps_are_points_that_a_larger_one_has_passed() -> None:
    assert gaps({(1, 1): 1.0, (1, 2): 1.0, (2, 1): 1.0}) == []
    assert gaps({(1, 1): 1.0, (1, 2): 1.0, (2, 2): 1.0}) == [(2, 1)]
    assert gaps({}) == []
