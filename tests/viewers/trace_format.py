"""What the trace event format asks of a file, written down as checks."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

Event = dict[str, Any]


def read(text: str) -> dict[str, Any]:
    """The trace in `text`; AssertionError where the format, or the order this project keeps, is broken."""
    found: dict[str, Any] = json.loads(text, parse_constant=lambda word: _refuse(f"{word} is no number of JSON"))
    assert set(found) == {"displayTimeUnit", "otherData", "traceEvents"}
    assert found["displayTimeUnit"] in ("ms", "ns")
    tracks: dict[tuple[int, int], list[Event]] = defaultdict(list)
    last = 0.0
    for event in found["traceEvents"]:
        assert event["ph"] in "MXC"
        assert isinstance(event["pid"], int)
        if event["ph"] == "M":
            assert last == 0.0, "metadata comes first"
            continue
        assert event["ts"] >= last >= 0, "events are in the order of time"
        last = event["ts"]
        if event["ph"] == "C":
            assert all(isinstance(value, int) for value in event["args"].values())
            continue
        assert event["dur"] >= 0
        tracks[event["pid"], event["tid"]].append(event)
    for events in tracks.values():
        _nested(events)
    named = {(e["pid"], e["tid"]) for e in found["traceEvents"] if e["name"] == "thread_name"}
    assert set(tracks) <= named
    return found


def _nested(events: list[Event]) -> None:
    """Spans of one track lie side by side or inside each other, to the nanosecond."""
    open_ends: list[int] = []
    for event in events:
        start = round(event["ts"] * 1000)
        end = start + round(event["dur"] * 1000)
        while open_ends and start >= open_ends[-1]:
            open_ends.pop()
        assert not open_ends or end <= open_ends[-1], f"{event['name']} ends after what it is in"
        if end > start:
            open_ends.append(end)


def _refuse(message: str) -> Any:
    raise AssertionError(message)


def spans(trace: dict[str, Any], pid: int = 1) -> list[Event]:
    """The complete events of one process."""
    return [event for event in trace["traceEvents"] if event["ph"] == "X" and event["pid"] == pid]


def tracks(trace: dict[str, Any], pid: int = 1) -> list[str]:
    """The names of the tracks of one process, in their order."""
    events = trace["traceEvents"]
    return [e["args"]["name"] for e in events if e["name"] == "thread_name" and e["pid"] == pid]


def counter(trace: dict[str, Any], name: str, pid: int = 1) -> list[tuple[float, int]]:
    """[(microseconds, value)] of one counter."""
    events = [e for e in trace["traceEvents"] if e["ph"] == "C" and e["name"] == name and e["pid"] == pid]
    return [(event["ts"], next(iter(event["args"].values()))) for event in events]
