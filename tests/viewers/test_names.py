"""Ids that no viewer trips over, and text without control characters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphlab.viewers.names import is_plain, namespace, short_op, shown, unique_ids
from tests.viewers.sample import HOSTILE

NAMES = st.text("aA_.-/ü\n0", max_size=6) | st.sampled_from(["node-0", "node-1", "Node-0", "a", "A"])


@given(st.lists(NAMES), st.lists(NAMES))
def test_ids_are_plain_and_all_different(names: list[str], taken: list[str]) -> None:
    found = unique_ids(names, taken)
    assert len({name.lower() for name in found}) == len(names)
    assert not {name.lower() for name in found} & {name.lower() for name in taken}
    assert all(map(is_plain, found))
    assert unique_ids(names, taken) == found


def test_plain_names_stay() -> None:
    names = ["conv2d", "conv2d_1", "p-1.weight"]
    assert unique_ids(names) == names
    assert unique_ids(["a", "a", "A"]) == ["a", "node-1", "node-2"]
    assert unique_ids(["node-1", "node-1"]) == ["node-1", "node-1-1"]


@pytest.mark.parametrize("name", ["__proto__", "constructor", "toString", "a/b", "x___group___", "Node", "", "-a", "é"])
def test_what_means_something_to_a_viewer_is_no_id(name: str) -> None:
    assert not is_plain(name)


@given(st.text(st.characters(codec=None, exclude_categories=())))
def test_shown_text_is_printable(text: str) -> None:
    assert shown(text).isprintable()


def test_printable_text_stays() -> None:
    assert shown("ü 中 [b]") == "ü 中 [b]"
    assert [shown(name) for name in HOSTILE[2:3]] == ["line\\nbreak</script>"]
    assert shown("\ud800\u202e") == "\\ud800\\u202e"


def test_levels_of_a_stack_are_named_below_each_other() -> None:
    stack = [("", "UNet"), ("down.0", "Block"), ("down.0.attn", "Attention"), ("downer", "Other")]
    assert namespace(stack) == ("UNet", "down.0 (Block)", "attn (Attention)", "downer (Other)")
    assert namespace([("", "")]) == ("module",)


@pytest.mark.parametrize(("op", "short"), [("aten.conv2d.default", "conv2d"), ("MatMul", "MatMul"), ("a.", "a.")])
def test_short_operator(op: str, short: str) -> None:
    assert short_op(op) == short
