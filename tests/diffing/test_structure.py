"""Calls and attentions matched across two programs: near-misses first."""

from __future__ import annotations

from dataclasses import replace

from graphlab.diffing.attentions import attention_diffs
from graphlab.diffing.nodes import node_diffs
from graphlab.report.diff_data import AttentionShape
from tests.report.sample import node

A = (
    node("x", "aten.add.Tensor", "elementwise", module="a"),
    node("y", "aten.add.Tensor", "elementwise", module="a"),
    node("z", "aten.mul.Tensor", "elementwise", module="b"),
)
SELF = AttentionShape("self", "spatial", False, True, 1, 8, 4096, 4096, 40)
CROSS = replace(SELF, kind="cross", kv_tokens=77)


def test_names_play_no_part_and_equals_are_matched_in_order() -> None:
    found = node_diffs(A, tuple(replace(row, name=f"other_{row.name}") for row in A))
    assert (found.by_shape, found.by_module, found.by_operator) == (3, 0, 0)
    assert [(row.what, row.a.name, row.b.name) for row in found.rows if row.a and row.b] == [
        (("name",), "x", "other_x")
    ] or found.rows == ()
    cheaper = (replace(A[0], flops=7), *A[1:])
    (row,) = node_diffs(A, cheaper).rows
    assert (row.status, row.what) == ("changed", ("flops",))
    assert row.a is not None
    assert row.a.name == "x"


def test_another_shape_another_module_and_no_partner() -> None:
    b = (
        replace(A[0], shape=(9, 9)),  # only the first of two equal ones: the second is matched by shape
        A[1],
        replace(A[2], module="c"),
        node("new", "aten.exp.default", "elementwise"),
    )
    found = node_diffs(A, b)
    assert (found.by_shape, found.by_module, found.by_operator) == (1, 1, 1)
    assert (found.same, found.only_a, found.only_b) == (1, 0, 1)
    assert [(row.status, row.what) for row in found.rows] == [
        ("changed", ("shape",)),
        ("changed", ("module",)),
        ("added", ()),
    ]


def test_an_operator_in_another_module_of_another_shape_is_another_call() -> None:
    found = node_diffs(A[2:], (replace(A[2], module="c", shape=(1,)),))
    assert (found.by_shape, found.by_module, found.by_operator) == (0, 0, 0)
    assert [row.status for row in found.rows] == ["removed", "added"]


def test_no_calls() -> None:
    assert node_diffs((), ()).rows == ()
    assert node_diffs(A, ()).only_a == 3


def test_attentions_of_another_size_are_paired_with_their_kind() -> None:
    larger = [replace(SELF, q_tokens=9216, kv_tokens=9216), replace(CROSS, q_tokens=9216)]
    found = attention_diffs([SELF, CROSS, SELF, CROSS], [larger[1], larger[0], larger[0], larger[1]])
    assert {(item.status, item.count, item.a, item.b) for item in found} == {
        ("changed", 2, SELF, larger[0]),
        ("changed", 2, CROSS, larger[1]),
    }


def test_attentions_without_a_partner_were_added_or_removed() -> None:
    found = attention_diffs([SELF, SELF, CROSS], [SELF])
    assert {(item.status, item.count, item.a) for item in found} == {("removed", 1, SELF), ("removed", 1, CROSS)}
    (one,) = attention_diffs([], [SELF])
    assert (one.status, one.a, one.b) == ("added", None, SELF)
    assert attention_diffs([SELF, CROSS], [CROSS, SELF]) == ()


def test_an_attention_that_was_fused_is_changed() -> None:
    (one,) = attention_diffs([replace(SELF, fused=False)], [SELF])
    assert (one.status, one.count) == ("changed", 1)


def test_kinds_are_never_turned_into_each_other_but_an_unknown_one_may_become_known() -> None:
    found = attention_diffs([CROSS], [SELF])
    assert {(item.status, item.a, item.b) for item in found} == {("removed", CROSS, None), ("added", None, SELF)}
    unseen = replace(SELF, kind=None, causal=None)
    (one,) = attention_diffs([unseen], [CROSS])
    assert (one.status, one.a, one.b) == ("changed", unseen, CROSS)
