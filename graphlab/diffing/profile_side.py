"""The JSON of `graphlab profile` as a Side: measured seconds, without the samples an interval would need."""

from __future__ import annotations

from graphlab.diffing.entries import Entry
from graphlab.diffing.reading import Saved
from graphlab.diffing.side import Part, Side, Value, summed
from graphlab.report.diff_data import Compared

WHY = "a profile keeps no samples of its rounds, so there is no interval: compare two of `graphlab bench`"
_GROUPS = {"categories": "category", "roles": "role", "ops": "op", "modules": "module"}


def profile_side(saved: Saved, stage: str | None) -> Side:
    """`saved` as a Side of the seconds of a generation of every stage, or of `stage` alone."""
    report = saved.data
    parts = tuple(_part(item) for item in report["stages"].named(stage))
    machine = ("device", "device_type", "threads", "torch_version")
    return Side(
        compared=Compared(saved.label, "report", saved.workload),
        bindings=report["bindings"].settings(),
        settings={**{f"machine: {name}": report[name].shown() for name in machine}, "rounds": report["rounds"].shown()},
        parts=parts,
        totals=summed(parts),
    )


def _part(stage: Entry) -> Part:
    nodes = sum(item["nodes"].whole() for _, item in stage["categories"].items())
    return Part(
        name=stage["name"].text(),
        values={"seconds": _seconds(stage["seconds_total"]), "nodes": Value(nodes)},
        groups={
            by: {
                name or "(top level)": {"seconds": _seconds(item["seconds"]), "nodes": Value(item["nodes"].whole())}
                for name, item in stage[key].items()
            }
            for key, by in _GROUPS.items()
        },
        settings={"dtype": stage["dtype"].text(), "calls": stage["calls_total"].shown()},
        weights=stage["name"].text(),
    )


def _seconds(item: Entry) -> Value:
    return Value(item.number(), measured=True, why=WHY)
