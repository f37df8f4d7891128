"""Spans and samples to the trace event format, and a profile to spans."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphlab.viewers.measured import measured
from graphlab.viewers.trace import SCHEMA, STAGES, Sample, Span, Timeline, to_trace
from tests.measuring.test_profile_data import CALL, GROWING, NODES, STEADY, report
from tests.viewers.sample import HOSTILE
from tests.viewers.trace_format import read, spans, tracks

SECONDS = st.floats(0, 1e4, allow_nan=False)


def cut(start: float, end: float, shares: list[float]) -> list[tuple[float, float]]:
    """Pieces of the time from `start` to `end`, one after another."""
    ends, now = [], start
    for share in shares:
        now += (end - start) * share / (sum(shares) or 1)
        ends.append(min(now, end))
    return list(zip([start, *ends], ends, strict=False))


@given(SECONDS, SECONDS, st.lists(st.floats(0, 1), max_size=6), st.lists(st.floats(0, 1), max_size=4))
def test_what_nests_in_seconds_nests_in_the_file(
    start: float, length: float, outer: list[float], inner: list[float]
) -> None:
    end = start + length
    found = [Span("t", "whole", start, end, {})]
    for a, b in cut(start, end, outer):
        found.append(Span("t", "part", a, b, {}))
        found += [Span("t", "piece", c, d, {}) for c, d in cut(a, b, inner)]
    read(to_trace([Timeline("p", ["t"], found)], {}))


def test_times_are_microseconds() -> None:
    (event,) = spans(read(to_trace([Timeline("p", ["t"], [Span("t", "a", 1.5, 1.500001, {"x": None, "y": 2})])], {})))
    assert (event["ts"], event["dur"], event["args"]) == (1_500_000, 1, {"y": 2})


def test_processes_stand_side_by_side() -> None:
    one = Timeline("one", ["t"], [Span("t", "a", 0, 1, {})], [Sample("memory", 0.5, {"bytes": 7})])
    trace = read(to_trace([one, replace(one, name="two")], {"source": "s"}))
    assert [len(spans(trace, pid)) for pid in (1, 2)] == [1, 1]
    assert trace["otherData"] == {"schema": SCHEMA, "source": "s"}
    names = [e["args"]["name"] for e in trace["traceEvents"] if e["name"] == "process_name"]
    assert names == ["one", "two"]


def test_hostile_names_are_text() -> None:
    made = [Span(name, name, 0, 1, {name: name}) for name in HOSTILE]
    text = to_trace([Timeline(HOSTILE[2], HOSTILE, made)], {"notes": list(HOSTILE)})
    assert len(spans(read(text))) == len(HOSTILE)
    assert all(line.isprintable() for line in text.splitlines())


def test_nothing_at_all_is_a_trace() -> None:
    assert spans(read(to_trace([Timeline("p", [], [])], {}))) == []


def test_a_measured_call_is_its_nodes_one_after_another() -> None:
    timeline = measured(report(STEADY))
    trace = read(to_trace([timeline], {}))
    assert tracks(trace) == [STAGES, "convolution", "linear", "matmul", "attention"]
    nodes = [event for event in spans(trace) if "node" in event["args"]]
    assert [event["args"]["node"] for event in nodes] == [node.name for node in NODES]
    assert [event["dur"] for event in nodes] == [node.seconds * 1e6 for node in NODES]
    starts = [sum(node.seconds for node in NODES[:place]) * 1e6 for place in range(len(NODES))]
    assert [event["ts"] for event in nodes] == starts
    assert nodes[0]["args"]["low"] == 0.25


@pytest.mark.parametrize("stages", [(STEADY,), (GROWING,), (STEADY, GROWING)], ids=["steady", "growing", "both"])
def test_measured_stages_take_the_time_of_the_generation(stages: tuple[object, ...]) -> None:
    profile = report(*stages)  # type: ignore[arg-type]  # parametrized values have no type
    timeline = measured(profile)
    assert timeline.seconds == pytest.approx(profile.seconds_total)
    whole = [span for span in timeline.spans if span.name in ("unet", "decode")]
    assert [span.end - span.start for span in whole] == pytest.approx([s.seconds_total for s in profile.stages])
    more = [span for span in timeline.spans if "more calls" in span.name]
    assert [span.args["calls"] for span in more] == [s.calls_total - len(s.calls) for s in profile.stages]


def test_nodes_that_take_longer_than_their_call_stay_inside() -> None:
    busy = replace(CALL, seconds=CALL.seconds_attributed / 2)
    trace = read(to_trace([measured(report(replace(STEADY, calls=(busy,), calls_total=1)))], {}))
    assert max(e["ts"] + e["dur"] for e in spans(trace)) == pytest.approx(CALL.seconds_attributed * 1e6)
    call = next(event for event in spans(trace) if event["name"] == "step 0")
    assert call["args"]["seconds"] == busy.seconds
    assert math.isclose(call["dur"], CALL.seconds_attributed * 1e6)


def test_the_checks_notice_a_broken_trace() -> None:
    good = json.loads(to_trace([Timeline("p", ["t"], [Span("t", "a", 0, 2, {}), Span("t", "b", 1, 2, {})])], {}))
    read(json.dumps(good))
    for key, value in (("dur", 2_000_000), ("ts", -1), ("ph", "Q")):
        bad = json.loads(json.dumps(good))
        bad["traceEvents"][-1][key] = value
        with pytest.raises(AssertionError):
            read(json.dumps(bad))
