"""Crossovers and growth on made data."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphlab.figures.crossings import crossings, exponent

SIDES = [1.0, 2.0, 4.0, 8.0, 16.0]
NUMBERS = st.floats(min_value=0.01, max_value=100)


@given(place=st.floats(min_value=1.01, max_value=15.9), p=st.floats(-3, 3), gap=st.floats(0.1, 3), scale=NUMBERS)
def test_power_laws_cross_where_they_must(place: float, p: float, gap: float, scale: float) -> None:
    a = [scale * (x / place) ** p for x in SIDES]
    b = [scale * (x / place) ** (p + gap) for x in SIDES]
    assert crossings(SIDES, a, b) == pytest.approx([place], rel=1e-6)


@given(values=st.lists(NUMBERS, min_size=5, max_size=5), factor=st.floats(1.01, 5))
def test_no_crossing_between_a_series_and_a_multiple(values: list[float], factor: float) -> None:
    assert crossings(SIDES, values, [value * factor for value in values]) == []


@given(a=st.lists(NUMBERS, min_size=5, max_size=5), b=st.lists(NUMBERS, min_size=5, max_size=5))
def test_every_crossing_lies_in_the_range(a: list[float], b: list[float]) -> None:
    found = crossings(SIDES, a, b)
    assert found == sorted(found)
    assert all(SIDES[0] <= place <= SIDES[-1] * (1 + 1e-12) for place in found)
    assert found == pytest.approx(crossings(SIDES, b, a))


def test_equal_points_and_gaps() -> None:
    assert crossings([1, 2, 4], [1, 2, 8], [2, 2, 2]) == [2.0]
    assert crossings([1, 2, 4], [1, 0, 8], [2, 2, 2]) == []
    with pytest.raises(ValueError, match="zip"):
        crossings([1, 2], [1], [2])


@given(p=st.floats(-4, 4), scale=NUMBERS, low=NUMBERS, ratio=st.floats(1.5, 10))
def test_exponent_of_a_power_law(p: float, scale: float, low: float, ratio: float) -> None:
    x = (low, low * ratio)
    found = exponent(x, (scale * x[0] ** p, scale * x[1] ** p))
    assert found is not None
    assert math.isclose(found, p, abs_tol=1e-6)


@pytest.mark.parametrize(("x", "y"), [((1, 1), (1, 2)), ((0, 1), (1, 2)), ((1, 2), (0, 2))])
def test_no_exponent(x: tuple[float, float], y: tuple[float, float]) -> None:
    assert exponent(x, y) is None
