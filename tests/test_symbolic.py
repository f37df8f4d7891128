"""Size text: what is arithmetic is evaluated, everything else is refused before it can run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphlab.errors import BindingError
from graphlab.symbolic import evaluate_any, evaluate_text, names_in


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("height // 8", {"height": 512}, 64),
        ("1 + (-1 + sample.d2) // 2", {"sample.d2": 65}, 33),
        ("2 if guidance > 1 else 1", {"guidance": 7.5}, 2),
        ("2 if guidance > 1 else 1", {"guidance": 1}, 1),
        ("Mod(7, 4) + FloorDiv(9, 2)", {}, 7),
        ("Max(1, s.d0) * Min(3, 5)", {"s.d0": 4}, 12),
        ("int(torch.sym_float(h) / 2)", {"h": 7}, 3),
        (17, {}, 17),
    ],
)
def test_values(text: int | str, values: dict[str, float], expected: int) -> None:
    assert evaluate_text(text, values) == expected


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "(lambda: 1)()",
        "[x for x in (1,)]",
        "open('f')",
        "h.__class__()",
        "'a' * 3",
        "f'{h}'",
        "h[0]",
        "",
        "1 +",
        "(" * 500,
    ],
)
def test_what_is_not_arithmetic_is_refused(text: str) -> None:
    with pytest.raises(BindingError):
        evaluate_any(text, {"h": 1})


def test_a_missing_name_and_a_fraction_are_errors() -> None:
    with pytest.raises(BindingError, match="needs width"):
        evaluate_text("width // 8", {"height": 8})
    with pytest.raises(BindingError, match="whole number"):
        evaluate_text("height / 3", {"height": 8})
    with pytest.raises(BindingError, match="cannot be evaluated"):
        evaluate_text("height // 0", {"height": 8})


def test_names_in_order_of_appearance() -> None:
    assert names_in("b.d0 * (a + b.d0) // Max(c, 2)") == ("b.d0", "a", "c")


@given(st.integers(1, 500), st.integers(1, 50), st.integers(1, 9))
def test_floor_division_is_pythons(h: int, w: int, d: int) -> None:
    assert evaluate_text(f"(h - {w}) // {d}", {"h": h}) == (h - w) // d
