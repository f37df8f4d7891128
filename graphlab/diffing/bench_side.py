"""The JSON of `graphlab bench` as a Side: seconds of every candidate of every stage, with their samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from graphlab.diffing.entries import Entry
from graphlab.diffing.reading import Saved
from graphlab.diffing.side import UNKNOWN, Part, Side, Value, Values
from graphlab.report.bench_data import Interval
from graphlab.report.diff_data import Compared

WHOLE = "(whole generation)"
_ONCE = "measured once, so there is no interval"


def bench_side(saved: Saved, stage: str | None) -> Side:
    """`saved` as a Side of the seconds of every candidate on every stage, or on `stage` alone."""
    report = saved.data
    parts = [_part(item) for item in report["stages"].named(stage)]
    if stage is None and report["whole"].flag():
        parts.append(_generation(report, parts))
    return Side(
        compared=Compared(saved.label, "report", saved.workload),
        bindings=report["bindings"].settings(),
        settings={f"machine: {name}": text for name, text in _environment(report["environment"]).items()},
        parts=tuple(parts),
        totals={},
        notes=tuple(_load(report["environment"])),
    )


def _load(item: Entry) -> Iterator[str]:
    """How busy the machine was: what threads that wait for others add to a time is in no interval."""
    load = item["load_average"].maybe(Entry.number)
    if load is not None:
        yield f"the load of the machine before was {load:.2f} on {item['cores'].whole()} cores"


def _environment(item: Entry) -> dict[str, str]:
    """What a machine and its software are; its load and free memory vary and are no part of it."""
    names = ("cpu", "cores", "threads", "memory_bytes", "governor", "gpu", "system")
    found = {name: item[name].shown() for name in names}
    return found | {f"version of {name}": version.shown() for name, version in item["versions"].items()}


def _part(stage: Entry) -> Part:
    candidates = {item["label"].text(): item for item in stage["candidates"].each()}
    settings = {name: stage[name].shown() for name in ("unit", "calls", "weights")}
    for label, item in candidates.items():
        where = f"{label}: " if len(candidates) > 1 else ""  # one beside one is compared whatever it is called
        settings |= {f"{where}{name}": item[name].shown() for name in ("backend", "rewrite", "dtype", "computes")}
        settings[f"{where}status"] = item["status"].shown()
    return Part(
        name=stage["name"].text(),
        values={},
        groups={"candidate": {label: _candidate(item) for label, item in candidates.items()}},
        settings=settings,
        weights=stage["name"].text(),
    )


def _generation(report: Entry, stages: Sequence[Part]) -> Part:
    """A whole generation as a part: seconds of all stages added up round by round, as the report's own totals are."""
    totals = {item["label"].text(): item for item in report["totals"].each()}
    found = {label: {"seconds": _total(label, item, stages)} for label, item in totals.items()}
    return Part(name=WHOLE, values={}, groups={"candidate": found}, weights=WHOLE)


def _total(label: str, item: Entry, stages: Sequence[Part]) -> Value:
    number = item["seconds"].maybe(Entry.number)
    if number is None:
        return Value(None, measured=True, why="it was not timed on every stage")
    rounds = [stage.groups["candidate"].get(label, {}).get("seconds", UNKNOWN).samples for stage in stages]
    samples = tuple(map(sum, zip(*rounds, strict=False)))  # rounds that all stages have
    return Value(number, measured=True, samples=samples, level=item["interval"].maybe(_interval))


def _candidate(item: Entry) -> Values:
    return {
        "seconds": item["times"].maybe(_seconds) or _missing(item),
        "compile_seconds": _once(item["compile_seconds"]),
        "process_memory": _once(item["memory"]["run_peak_bytes"]),
    }


def _missing(item: Entry) -> Value:
    return Value(None, measured=True, why=f"not timed: {item['status'].shown()}: {item['error'].shown()}")


def _once(item: Entry) -> Value:
    return Value(item.maybe(Entry.number), measured=True, why=_ONCE)


def _seconds(times: Entry) -> Value:
    samples = []
    for item in times["samples"].each():
        if not item.number():
            raise item.wrong("seconds above 0")
        samples.append(float(item.number()))
    return Value(
        times["seconds"].number(), measured=True, samples=tuple(samples), level=times["interval"].maybe(_interval)
    )


def _interval(item: Entry) -> Interval:
    return Interval(float(item["low"].number()), float(item["high"].number()))
