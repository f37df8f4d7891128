"""Errors of outputs: closed forms, and what cannot be compared."""

from __future__ import annotations

import math

import pytest
import torch

from graphlab.timing.agreement import TOLERANCES, compare, relative_error, tolerance

INF, NAN = math.inf, math.nan


@pytest.mark.parametrize(
    ("got", "want", "error"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0.0),
        ([1.0, 2.5], [1.0, 2.0], 0.25),
        ([1.0, 2.0], [1.0, -4.0], 1.5),
        ([0.5], [0.0], 0.5),
        ([], [], 0.0),
        ([NAN, 1.0], [NAN, 1.0], 0.0),
        ([INF, -INF], [INF, -INF], 0.0),
        ([NAN, 1.0], [2.0, 1.0], None),
        ([1.0, 1.0], [NAN, 1.0], None),
        ([INF], [-INF], None),
        ([NAN], [INF], None),
        ([1.0], [1.0, 1.0], None),
    ],
)
def test_relative_error(got: list[float], want: list[float], error: float | None) -> None:
    assert relative_error(torch.tensor(got), torch.tensor(want)) == error


def test_half_precision_is_compared_in_full() -> None:
    got, want = torch.tensor([1000.0], dtype=torch.float16), torch.tensor([1001.0])
    assert relative_error(got, want) == pytest.approx(1 / 1001)


def test_the_worst_output_is_named() -> None:
    want = {"0.0": torch.ones(2), "0.1": torch.ones(2), "0.2": torch.ones(2)}
    got = {"0.0": torch.ones(2), "0.1": torch.tensor([1.0, 1.5]), "0.2": torch.tensor([1.1, 1.0])}
    found = compare(got, want, 1e-3)
    assert (found.worst_error, found.output, found.agrees, found.tolerance) == (0.5, 1, False, 1e-3)
    assert compare(got, want, 0.5).agrees


def test_a_missing_output_is_no_agreement() -> None:
    found = compare({"0.0": torch.ones(1)}, {"0.0": torch.ones(1), "0.1": torch.ones(1)}, 1.0)
    assert (found.agrees, found.worst_error) == (False, None)


def test_the_coarsest_dtype_decides() -> None:
    assert tolerance("float32", "bfloat16", "float32") == TOLERANCES["bfloat16"]
    assert tolerance("float16", None, "float32") == TOLERANCES["float16"]
    assert tolerance("float32", None) == TOLERANCES["float32"]
    assert TOLERANCES["float32"] < TOLERANCES["float16"] < TOLERANCES["bfloat16"]


@pytest.mark.parametrize(
    ("got", "want", "error"),
    [
        ([30001, 5], [30000, 5], 0.5),
        ([1, 0, 0, 0], [1, 0, 0, 1], 1.0),
        ([30000, 5], [30000, 5], 0.0),
    ],
    ids=["the next token", "truth values", "equal"],
)
def test_whole_numbers_are_one_thing_or_another(got: list[int], want: list[int], error: float) -> None:
    assert relative_error(torch.tensor(got), torch.tensor(want)) == error


def test_complex_numbers_are_compared_by_both_parts() -> None:
    assert relative_error(torch.tensor([1 + 2j]), torch.tensor([1 + 1j])) == 1.0
