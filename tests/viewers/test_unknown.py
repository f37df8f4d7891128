"""Operators without a rule in every picture."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import graphlab
from graphlab import Program
from graphlab.viewers.data import Drawing
from graphlab.viewers.dot import to_dot
from graphlab.viewers.model_explorer import to_model_explorer
from graphlab.viewers.overlays import to_overlays
from graphlab.viewers.summary import stages_table
from tests.unruled import FLOPS, mixed, odd
from tests.viewers.sample import drawn


@lru_cache(maxsize=4)
def picture(name: str, *, timed: bool = False) -> Drawing:
    return drawn(mixed() if name == "mixed" else odd(), timed=timed)


def test_dot_says_unknown_on_the_node() -> None:
    text = to_dot(picture("mixed", timed=True))
    assert text.count("FLOP unknown") == 2
    assert "131.1 kFLOP" in text
    assert "0 FLOP" not in text
    assert text.count("us+") + text.count("ns+") == 2  # times of the two are those of their bytes alone


def test_overlays_leave_them_out_and_their_titles_say_how_many() -> None:
    data = {name: json.loads(text)["mixed"] for name, text in to_overlays(picture("mixed")).items()}
    assert data["flops"]["name"] == "FLOP, without 2 calls that have no rule"
    assert {key: row["value"] for key, row in data["flops"]["results"].items()} == {"linear": FLOPS, "relu": 0}
    assert data["bytes"]["name"] == "materialized bytes"
    assert len(data["bytes"]["results"]) == 4


def test_layers_and_the_whole_say_how_many_are_not_counted() -> None:
    (graph,) = json.loads(to_model_explorer(picture("mixed", timed=True)))["graphs"]
    layers: dict[str, dict[str, str]] = graph["groupNodeAttributes"]
    assert layers["Mixed/odd (Odd)"]["FLOP"] == "unknown: 1 of 1 calls without a rule"
    assert layers[""]["one run, FLOP"].startswith(f"{FLOPS} ")
    assert layers[""]["one run, FLOP not counted"] == "unknown: 2 of 4 calls without a rule"
    assert "+ (an estimate, attention fused)" in layers[""]["one run, ideal time"]
    (whole,) = json.loads(to_model_explorer(picture("mixed")))["graphs"]
    assert "of the known flops" in whole["groupNodeAttributes"][""]["critical path"]


def test_the_summary_says_unknown_where_nothing_is_known() -> None:
    none, some = (stages_table(picture(name)) for name in ("odd", "mixed"))
    assert none.rows[0][4:6] == ("unknown", "unknown")
    assert some.rows[0][4:6] == ("131.1 kFLOP+", "131.1 kFLOP+")
    assert "in FLOP" in none.note
    assert "are not in it" in some.note
    assert stages_table(picture("mixed", timed=True)).rows[0][4].endswith("s+")


def steps(program: Program) -> list[dict[str, Any]]:
    text = graphlab.draw(program, format="perfetto", device="a100-80gb", cache=False).text
    return [event["args"] for event in json.loads(text)["traceEvents"] if event["name"].startswith("step ")]


def test_a_trace_leaves_flop_out_where_nothing_is_known() -> None:
    assert [("flops" in step, step["unknown_nodes"]) for step in steps(odd())] == [(False, 1)]
    assert [(step["flops"], step["unknown_nodes"]) for step in steps(mixed())] == [(FLOPS, 2)]
