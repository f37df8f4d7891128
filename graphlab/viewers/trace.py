"""Timelines in the trace event format that Perfetto and Chrome's tracing page read.

Format: "Trace Event Format" of the Chromium project, the JSON object form: complete events ("X"), counters ("C") and
metadata ("M"); times are microseconds, here with three decimals.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from graphlab.viewers.names import shown

SCHEMA = "graphlab.trace/1"
"""Version of what stands in `otherData` and in the arguments of events."""

STAGES = "stages and steps"
"""The track that holds stages, their steps, and the calls drawn node by node."""

Args: TypeAlias = Mapping[str, str | int | float | bool | None]


@dataclass(frozen=True, slots=True)
class Span:
    """Something that takes from `start` to `end`, in seconds, on the track `track`."""

    track: str
    name: str
    start: float
    end: float
    args: Args


@dataclass(frozen=True, slots=True)
class Sample:
    """The value of a counter from `at`, in seconds, on."""

    counter: str
    at: float
    values: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Timeline:
    """One process of a trace: its spans, outer ones before inner ones, and its counters. `tracks` is their order."""

    name: str
    tracks: Sequence[str]
    spans: Sequence[Span]
    samples: Sequence[Sample] = ()

    @property
    def seconds(self) -> float:
        """When the last span ends."""
        return max((span.end for span in self.spans), default=0.0)


def to_trace(timelines: Sequence[Timeline], about: Mapping[str, Any]) -> str:
    """`timelines` as processes of one trace, side by side, an event a line; `about` stands in `otherData`.

    Events are in the order of time, longer ones first where several start at once, so that they nest.
    """
    head = [event for number, item in enumerate(timelines, 1) for event in _metadata(number, item)]
    events = [event for number, item in enumerate(timelines, 1) for event in _events(number, item)]
    events.sort(key=lambda event: (event["ts"], -event.get("dur", 0)))
    lines = ",\n".join(json.dumps(event, allow_nan=False, separators=(",", ":")) for event in [*head, *events])
    other = json.dumps({"schema": SCHEMA, **_shown(about)}, allow_nan=False)
    return f'{{"displayTimeUnit":"ms",\n"otherData":{other},\n"traceEvents":[\n{lines}\n]}}\n'


def _metadata(number: int, item: Timeline) -> Iterator[dict[str, Any]]:
    base = {"ph": "M", "pid": number}
    yield {**base, "name": "process_name", "args": {"name": shown(item.name)}}
    yield {**base, "name": "process_sort_index", "args": {"sort_index": number}}
    for track, name in enumerate(item.tracks, 1):
        yield {**base, "tid": track, "name": "thread_name", "args": {"name": shown(name)}}
        yield {**base, "tid": track, "name": "thread_sort_index", "args": {"sort_index": track}}


def _events(number: int, item: Timeline) -> Iterator[dict[str, Any]]:
    places = {name: track for track, name in enumerate(item.tracks, 1)}
    for span in item.spans:
        start, end = _nanoseconds(span.start), _nanoseconds(span.end)
        yield {
            "ph": "X",
            "pid": number,
            "tid": places[span.track],
            "ts": start / 1000,
            "dur": (end - start) / 1000,
            "name": shown(span.name),
            "cat": shown(span.track),
            "args": _shown({key: value for key, value in span.args.items() if value is not None}),
        }
    for sample in item.samples:
        base = {"ph": "C", "pid": number, "ts": _nanoseconds(sample.at) / 1000, "name": shown(sample.counter)}
        yield {**base, "args": dict(sample.values)}


def _nanoseconds(seconds: float) -> int:
    """Whole nanoseconds: rounding the ends of spans, not their lengths, keeps inner ones inside outer ones."""
    return round(seconds * 1e9)


def _shown(value: Any) -> Any:
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, Mapping):
        return {shown(str(key)): _shown(inner) for key, inner in value.items()}
    return [_shown(inner) for inner in value] if isinstance(value, list | tuple) else value
