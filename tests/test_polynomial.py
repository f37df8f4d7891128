"""Polynomials agree with the text they were read from on the whole residue class."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphlab.polynomial import Exact, Polynomials
from graphlab.symbolic import evaluate_text

AXES = {"x.d2": "height // 8", "x.d3": "width // 8", "x.d0": "batch", "x.d1": "(frames - 1) // 4 + 1"}
TEXTS = [
    "1 + (-1 + x.d2) // 2",
    "(1 + (-1 + x.d2) // 4) * (1 + (-1 + x.d3) // 8)",
    "x.d1 * x.d0 * ((x.d2 + 1) // 2)",
    "(4 * x.d2 * x.d3 * x.d0) // (4 * x.d0)",
    "x.d2 % 2 + x.d3",
]


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 40), st.integers(1, 40), st.integers(1, 5), st.integers(1, 30),
    st.integers(0, 6), st.integers(0, 6), st.sampled_from(TEXTS),
)  # fmt: skip
def test_a_polynomial_is_its_text_on_the_residue_class(
    h: int, w: int, batch: int, frames: int, up: int, right: int, text: str
) -> None:
    values = {"height": 8 * h, "width": 8 * w, "batch": batch, "frames": frames}
    found = Polynomials(AXES, values, frozenset(TEXTS))
    exact = Exact(found.restore(found.size(text)))
    grains = found.granularity
    for moved in (
        values,
        {
            **values,
            "height": values["height"] + up * grains["height"],
            "width": values["width"] + right * grains["width"],
        },
        {**values, "frames": frames + up * grains["frames"], "batch": batch + right},
    ):
        assert found.holds(moved)
        inner = {axis: evaluate_text(expr, moved) for axis, expr in AXES.items()}
        assert exact(moved) == evaluate_text(text, inner)


def test_the_models_own_granularity_is_found() -> None:
    values = {"height": 512, "width": 512, "batch": 1, "frames": 49}
    found = Polynomials(AXES, values, frozenset(["1 + (-1 + x.d2) // 8", "x.d3", "x.d1", "x.d0"]))
    assert found.granularity == {"batch": 1, "frames": 4, "height": 64, "width": 8}
    assert str(found.restore(found.size("1 + (-1 + x.d2) // 8"))) == "height/64"
    assert str(found.restore(found.size("x.d1"))) == "frames/4 + 3/4"
    assert not found.holds({**values, "height": 520})


def test_degree_and_exponent_of_a_sum() -> None:
    values = {"h": 4, "w": 4}
    found = Polynomials({"x.d0": "h", "x.d1": "w"}, values, frozenset(["x.d0"]))
    exact = Exact(found.restore(3 * found.size("x.d0 * x.d1") ** 2 + 16 * found.size("x.d0 * x.d1")))
    assert exact(values) == 3 * 256 + 256
    assert exact.degree(("h", "w")) == 4
    assert exact.degree(("h",)) == 2
    assert exact.exponent(("h", "w"), values) == pytest.approx((4 * 768 + 2 * 256) / 1024)


def test_off_the_class_is_an_error_not_a_fraction() -> None:
    found = Polynomials({"x.d0": "h // 8"}, {"h": 16}, frozenset(["x.d0"]))
    with pytest.raises(ValueError, match="no whole number"):
        Exact(found.restore(found.size("x.d0")))({"h": 17})
