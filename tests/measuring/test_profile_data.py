"""Sums over nodes, steps and stages: closed forms on times written down here."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphlab.facts import ROLES
from graphlab.measuring.stage import quantile, sampled_steps
from graphlab.ops.rule import CATEGORIES
from graphlab.report.profile_data import (
    OUTSIDE_ATTENTION,
    AttentionTime,
    CallProfile,
    NodeTime,
    ProfileReport,
    StageProfile,
    interpolation_weights,
)
from graphlab.report.profile_tables import calls_table, profile_tables, times_table
from graphlab.report.profile_writers import COLUMNS, profile_csv, profile_json, profile_markdown


def node(name: str, category: str, role: str, seconds: float, attention: str | None = None) -> NodeTime:
    op, module = f"aten.{name}.default", f"block.{name}"
    return NodeTime(name, op, category, role, module, attention, seconds, seconds / 2, seconds * 2)


NODES = (
    node("conv", "convolution", "residual_block", 0.5),
    node("to_q", "linear", "attention_projection", 0.25),
    node("bmm", "matmul", "attention_core", 0.125, "softmax"),
    node("softmax", "attention", "attention_core", 0.0625, "softmax"),
)
ATTENTION = AttentionTime("softmax", "self", "spatial", False, 64, 77, 2, 0.1875)
CALL = CallProfile(0, 1.0, {}, 3, 1.0, 0.75, 1.25, 0.9, 0.9375, 0.03125, NODES, (ATTENTION,))


def slower(call: CallProfile, step: int, times: float, factor: float) -> CallProfile:
    nodes = tuple(replace(item, seconds=item.seconds * factor) for item in call.nodes)
    return replace(call, step=step, times=times, seconds=call.seconds * factor, nodes=nodes, bindings={"cache": step})


STEADY = StageProfile("unet", "float32", 10, 20, (replace(CALL, times=20.0),), ("a note",))
GROWING = StageProfile(
    "decode", "float16", 5, 5, (slower(CALL, 0, 1.5, 1), slower(CALL, 2, 2.0, 2), slower(CALL, 4, 1.5, 3))
)


def report(*stages: StageProfile) -> ProfileReport:
    bindings = {"height": 64, "guidance": 7.5}
    return ProfileReport("toy.pt2", "toy [b]", bindings, "A CPU", "cpu", 2, "2.13.0", 3, ("assumed",), stages, ("n",))


@pytest.mark.parametrize("key", ["category", "role", "op", "module", "attention"])
def test_groups_add_up_to_the_nodes(key: str) -> None:
    groups = CALL.by(key)
    assert sum(group.seconds for group in groups.values()) == CALL.seconds_attributed == 0.9375
    assert sum(group.nodes for group in groups.values()) == len(NODES)
    seconds = [group.seconds for group in groups.values()]
    assert seconds == sorted(seconds, reverse=True)


def test_attention_is_its_members_and_the_rest() -> None:
    groups = CALL.by("attention")
    assert {name: group.seconds for name, group in groups.items()} == {OUTSIDE_ATTENTION: 0.75, "softmax": 0.1875}


def test_a_generation_is_every_call_of_every_step() -> None:
    assert STEADY.seconds_total == 20.0
    assert STEADY.by("category")["convolution"].seconds == 10.0
    assert not STEADY.interpolated
    assert GROWING.interpolated
    assert GROWING.seconds_total == 1 + 1.5 + 2 + 2.5 + 3
    assert GROWING.by("op")["aten.conv.default"].seconds == 0.5 * 10
    assert GROWING.by("op")["aten.conv.default"].nodes == 1
    assert report(STEADY, GROWING).seconds_total == 30.0


@pytest.mark.parametrize(
    ("steps", "change", "expected"),
    [(50, False, (0,)), (1, True, (0,)), (2, True, (0, 1)), (3, True, (0, 1, 2)), (256, True, (0, 127, 255))],
)
def test_first_middle_and_last_are_run(steps: int, change: bool, expected: tuple[int, ...]) -> None:
    assert sampled_steps(steps, change=change) == expected


@given(st.lists(st.integers(1, 3), min_size=1, max_size=60), st.floats(0, 5), st.floats(-0.01, 5))
def test_weights_are_exact_for_straight_lines(counts: list[int], start: float, slope: float) -> None:
    sampled = sampled_steps(len(counts), change=True)
    weights = interpolation_weights(counts, sampled)
    assert sum(weights) == pytest.approx(sum(counts))
    found = sum(weight * (start + slope * step) for weight, step in zip(weights, sampled, strict=True))
    assert found == pytest.approx(sum(count * (start + slope * step) for step, count in enumerate(counts)), abs=1e-9)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=30), st.floats(0, 1))
def test_quantiles_stay_inside_and_hit_the_ends(values: list[float], share: float) -> None:
    ordered = sorted(values)
    assert ordered[0] - 1e-9 <= quantile(ordered, share) <= ordered[-1] + 1e-9
    assert (quantile(ordered, 0), quantile(ordered, 1)) == (ordered[0], ordered[-1])


@pytest.mark.parametrize(("values", "share", "expected"), [([1, 2, 4], 0.5, 2), ([1, 3], 0.5, 2), ([0, 10], 0.1, 1)])
def test_quantiles_by_hand(values: list[float], share: float, expected: float) -> None:
    assert quantile(values, share) == pytest.approx(expected)


def test_the_json_says_everything() -> None:
    text = profile_json(report(STEADY, GROWING))
    data = json.loads(text)
    assert text == profile_json(report(STEADY, GROWING))
    assert data["schema"] == "graphlab.profile/1"
    assert (data["device"], data["threads"], data["coverage"], data["seconds_total"]) == ("A CPU", 2, 0.9375, 30.0)
    unet, decode = data["stages"]
    assert (unet["interpolated"], decode["interpolated"]) == (False, True)
    assert [call["times"] for call in decode["calls"]] == [1.5, 2.0, 1.5]
    assert unet["calls"][0]["nodes"][0] == NODES[0].to_dict()
    assert list(unet["categories"]) == [name for name in CATEGORIES if name in unet["categories"]]
    assert list(unet["roles"]) == [name for name in ROLES if name in unet["roles"]]
    assert sum(group["seconds"] for group in unet["categories"].values()) == 0.9375 * 20


def test_the_csv_has_a_row_a_node_of_every_call() -> None:
    rows = list(csv.DictReader(io.StringIO(profile_csv(report(STEADY, GROWING)))))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 4 * len(NODES)
    assert {(row["stage"], row["step"]) for row in rows} == {
        ("unet", "0"), ("decode", "0"), ("decode", "2"), ("decode", "4"),
    }  # fmt: skip
    assert rows[2] == {
        "stage": "unet", "step": "0", "node": "bmm", "op": "aten.bmm.default", "category": "matmul",
        "role": "attention_core", "module": "block.bmm", "attention": "softmax", "seconds": "0.125",
        "low": "0.0625", "high": "0.25",
    }  # fmt: skip
    assert rows[0]["attention"] == ""


def test_the_markdown_escapes_names_and_ends_in_the_notes() -> None:
    text = profile_markdown(report(STEADY))
    assert text.startswith("# toy \\[b\\]\n")
    assert "| convolution | 1 | 500 ms | 10 s | 53.3 % |" in text
    assert text.endswith("## Notes\n\n- n\n- unet: a note\n")


def test_tables_show_sums_and_what_they_leave_out() -> None:
    (*_, last) = calls_table(report(STEADY, GROWING)).rows
    assert last[0] == "total"
    assert last[-1] == "30 s"
    table = times_table(STEADY, "module", depth=1)
    assert table.rows == (("block", "4", "937.5 ms", "18.75 s", "100.0 %"),)
    cut = times_table(STEADY, "op", top=1)
    assert [row[0] for row in cut.rows] == ["aten.conv.default", "(3 more)"]
    assert sum(cut.shares or ()) == pytest.approx(1)
    titles = [table.title for table in profile_tables(report(STEADY), "attention")]
    assert titles == ["Measured calls", "unet: measured attention"]
    assert [
        t.title for t in profile_tables(report(replace(STEADY, calls=(replace(CALL, attention=()),))), "attention")
    ] == ["Measured calls"]


def test_categories_say_where_an_attention_that_is_spelled_out_stands() -> None:
    assert "under the categories of its products and its softmax" in times_table(STEADY, "category").note
    assert "softmax" not in times_table(STEADY, "role").note
    fused = replace(STEADY, calls=(replace(CALL, attention=(replace(ATTENTION, fused=True),)),))
    assert times_table(fused, "category").note == "shares of the time on nodes"
