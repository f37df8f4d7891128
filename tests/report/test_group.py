"""Sums of calls of which some, or all, have no rule."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from graphlab.facts import known_sum
from graphlab.report.data import grouped
from graphlab.report.group import Group, falling
from tests.report.sample import node

KNOWN, FREE = Group(1, 100, 20, 8), Group(1, 0, 0, 4)
UNKNOWN = Group(1, None, None, 16, 1)
ONES = st.sampled_from([KNOWN, FREE, UNKNOWN])


def test_nothing_known_stays_unknown_and_something_known_is_a_lower_bound() -> None:
    assert Group(2, None, None, 32, 2) == UNKNOWN + UNKNOWN
    assert UNKNOWN + KNOWN == KNOWN + UNKNOWN == Group(2, 100, 20, 24, 1)
    assert Group(2, 0, 0, 20, 1) == UNKNOWN + FREE  # 0 of what is counted, which is not nothing


def test_no_calls_cost_nothing_and_change_no_sum() -> None:
    assert Group() + Group() == Group()
    for one in (KNOWN, FREE, UNKNOWN):
        assert Group() + one == one + Group() == one


@given(st.lists(ONES, max_size=9))
def test_a_sum_is_unknown_exactly_where_no_call_of_it_has_a_rule(groups: list[Group]) -> None:
    whole = sum(groups, Group())
    assert whole == sum(reversed(groups), Group())
    assert (whole.flops is None) == (bool(groups) and whole.unknown == whole.nodes)
    assert whole.flops in (None, sum(group.flops or 0 for group in groups))
    assert whole.to_dict()["unknown_nodes"] == groups.count(UNKNOWN)


def test_known_sum() -> None:
    assert [known_sum(items) for items in ([], [None], [None, None], [None, 3], [1, 2])] == [0, None, None, 3, 3]


def test_what_is_unknown_stands_after_what_is_nothing() -> None:
    assert list(falling({"a": UNKNOWN, "b": FREE, "c": KNOWN})) == ["c", "b", "a"]
    rows = (node("x", "foo.bar", "other", flops=None, pointwise_flops=None), node("y", "aten.relu", "activation"))
    assert [group.flops for group in grouped(rows, "category").values()] == [1_000, None]
