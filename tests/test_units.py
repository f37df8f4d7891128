"""Prefixes are exact at their edges."""

from __future__ import annotations

import pytest

from graphlab.units import SCALES, format_bytes, format_count, format_seconds, format_share, format_value


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "", "0"),
        (999, "FLOP", "999 FLOP"),
        (1_000, "FLOP", "1 kFLOP"),
        (803_273_441_280, "FLOP", "803.3 GFLOP"),
        (803_273_441_280, "", "803.3 G"),
        (1_000_000_000_000, "", "1 T"),
        (2.5e15, "", "2.5 P"),
        (-2_000, "", "-2 k"),
    ],
)
def test_count(value: float, unit: str, text: str) -> None:
    assert format_count(value, unit) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (1_610_612_736, "1.5 GiB"), (2**40, "1 TiB")],
)
def test_bytes(value: int, text: str) -> None:
    assert format_bytes(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0 s"),
        (0.0123, "12.3 ms"),
        (1.0, "1 s"),
        (2e-6, "2 us"),
        (90.0, "90 s"),
        (1e-6, "1 us"),
        (4.017655713585091e-09, "4.018 ns"),
        (2.42e-8, "24.2 ns"),
        (1e-9, "1 ns"),
        (5e-10, "0.5 ns"),
        (1.96e-12, "0.00196 ns"),
        (-3e-8, "-30 ns"),
    ],
)
def test_seconds(value: float, text: str) -> None:
    assert format_seconds(value) == text


def test_share() -> None:
    assert format_share(1, 3) == "33.3 %"
    assert format_share(1, 0) == "-"


def test_what_rounds_up_to_the_next_prefix_is_written_with_it() -> None:
    assert (format_count(999_960, "FLOP"), format_count(999_949, "FLOP")) == ("1 MFLOP", "999.9 kFLOP")
    assert (format_seconds(9.9996e-4), format_seconds(9.9994e-7)) == ("1 ms", "999.9 ns")
    assert format_bytes(2**30 - 1) == "1 GiB"


@pytest.mark.parametrize("value", [999_960, 999_999_999, 1_048_575, 2**30 - 1])
def test_rounding_never_shows_an_exponent(value: int) -> None:
    assert "e+" not in format_count(value) + format_bytes(value)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1249, "", "1249"),
        (-132, "", "-132"),
        (2_500_000, "", "2.5 M"),
        (803_273_441_280, "FLOP", "803.3 GFLOP"),
        (-1536, "B", "-1.5 KiB"),
        (-0.0123, "s", "-12.3 ms"),
        (0, "s", "0 s"),
    ],
)
def test_value_of_a_unit(value: float, unit: str, text: str) -> None:
    assert format_value(value, unit) == text


@pytest.mark.parametrize(
    ("unit", "written", "scale"),
    [
        ("FLOP", "GFLOP", 1e9),
        ("FLOP", "T", 1e12),
        ("B", "GiB", 2**30),
        ("B", "MB", 1e6),
        ("s", "us", 1e-6),
        ("", "k", 1e3),
    ],
)
def test_units_that_may_be_written(unit: str, written: str, scale: float) -> None:
    assert SCALES[unit][written] == scale
    assert SCALES[unit][""] == 1
