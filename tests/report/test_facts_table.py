"""Facts of any shape as tables, and as JSON values."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy
import pytest
import sympy

from graphlab.report.data import AnalysisFacts
from graphlab.report.facts_table import CELL, COLUMNS, ROWS, facts_tables
from graphlab.report.plain import DEEPEST, NoFactError, plain
from graphlab.report.tables import Table
from tests.report.sample import UNET


def table(facts: Any, top: int | None = None) -> Table:
    (made,) = facts_tables(replace(UNET, analyses=(AnalysisFacts("mine", "me 1.0", facts),)), top)
    return made


def heads(made: Table) -> list[str]:
    return [column.head for column in made.columns]


def test_one_number_a_node() -> None:
    made = table({"conv": 3, "norm": None})
    assert (made.title, heads(made)) == ("unet: mine", ["key", "value"])
    assert made.rows == (("conv", "3"), ("norm", "-"))
    assert [column.number for column in made.columns] == [False, True]
    assert made.columns[0].whole


def test_fields_are_columns_in_the_order_they_come() -> None:
    made = table({"a": {"x": 1, "y": True}, "b": {"z": 0.123456789, "x": 2}})
    assert heads(made) == ["key", "x", "y", "z"]
    assert made.rows == (("a", "1", "yes", "-"), ("b", "2", "-", "0.123457"))


def test_a_sequence_is_a_row_an_item() -> None:
    assert table([{"x": 1}, {"x": 2}]).rows == (("1",), ("2",))
    assert table(["a", 2, {"b": 1}]).rows == (("a",), ("2",), ('{"b": 1}',))
    assert table("text").rows == (("text",),)


def test_what_is_long_is_counted() -> None:
    long = {str(n): n for n in range(CELL)}
    assert table({"a": {"deep": long}, "b": {"deep": list(range(CELL))}}).rows == (
        ("a", f"{CELL} entries"), ("b", f"{CELL} items"),
    )  # fmt: skip
    assert heads(table({"a": {str(n): n for n in range(COLUMNS)}}))[-1] == str(COLUMNS - 1)
    assert heads(table({"a": {str(n): n for n in range(COLUMNS + 1)}})) == ["key", "value"]


def test_rows_are_cut_and_that_is_said() -> None:
    many = {f"n{n}": n for n in range(ROWS + 1)}
    assert (len(table(many).rows), table(many).note) == (ROWS, f"of me 1.0; {ROWS} of {ROWS + 1} rows, --json has all")
    assert len(table(many, top=3).rows) == 3
    assert table({}).note == "of me 1.0; it found nothing"
    assert table([]).note == "of me 1.0; it found nothing"


@dataclass(frozen=True)
class Fact:
    """A value, and one that is not to be seen."""

    value: object
    _hidden: object = None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Fact(3, object()), {"value": 3}),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        ({3: (1, 2)}, {"3": [1, 2]}),
        (frozenset({"b", "a"}), ["a", "b"]),
        (range(3), [0, 1, 2]),
        ((numpy.int64(3), numpy.float32(0.5)), [3, 0.5]),
        (sympy.Symbol("h") * 2, "2*h"),
    ],
)
def test_values(value: object, expected: object) -> None:
    assert plain(value) == expected


def nested(depth: int) -> list[Any]:
    made: list[Any] = []
    for _ in range(depth):
        made = [made]
    return made


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": [1, object()]}, r"^a\[1\] is a object"),
        ({"a": b"bytes"}, "^a is a bytes"),
        (Fact(len), "^value is a builtin_function_or_method"),
        ({None: 1}, "a key of it is a NoneType"),
        (nested(DEEPEST + 1), f"nested more than {DEEPEST} deep"),
        (Fact, "it is a type"),
    ],
    ids=["object", "bytes", "function", "key", "deep", "class"],
)
def test_what_is_no_fact(value: object, message: str) -> None:
    with pytest.raises(NoFactError, match=message):
        plain(value)


def test_what_holds_itself_is_no_fact() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(NoFactError, match="deep"):
        plain(loop)
