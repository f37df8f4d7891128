"""The JSON of `graphlab rewrite` as a Side: the programs after, and the programs before as a group."""

from __future__ import annotations

from graphlab.diffing.entries import Entry
from graphlab.diffing.reading import Saved
from graphlab.diffing.side import Part, Side, Value, Values, summed
from graphlab.report.diff_data import Compared, GivenAs


def rewrite_side(saved: Saved, stage: str | None, given_as: GivenAs) -> Side:
    """`saved` as a Side of one call of every stage after the rewrite, or of `stage` alone."""
    report = saved.data
    parts = tuple(_part(item) for item in report["stages"].named(stage))
    return Side(
        compared=Compared(saved.label, given_as, saved.workload),
        bindings=report["bindings"].settings(),
        settings={"level": report["level"].shown(), "passes": report["passes"].shown()},
        parts=parts,
        totals=summed(parts),
    )


def _part(stage: Entry) -> Part:
    return Part(
        name=stage["name"].text(),
        values=_figures(stage["after"]),
        groups={
            "program": {"before": _figures(stage["before"])},
            "pass": {item["name"].text(): _pass(item) for item in stage["passes"].each()},
        },
        settings={"sizes": stage["symbols"].shown()},
        weights=stage["name"].text(),
    )


def _figures(item: Entry) -> Values:
    unknown = item["unknown"].whole()
    fused, spelled = item["attention_fused"].whole(), item["attention_spelled"].whole()
    return {
        "flops": Value(item["flops"].maybe(Entry.whole), unknown),
        "pointwise": Value(item["pointwise_flops"].maybe(Entry.whole), unknown),
        "bytes": Value(item["bytes"].whole()),
        "weight_bytes": Value(item["weight_bytes"].whole()),
        "nodes": Value(item["nodes"].whole()),
        "attention": Value(fused + spelled),
        "attention_fused": Value(fused),
        "attention_spelled": Value(spelled),
        "uncounted": Value(unknown),
    }


def _pass(item: Entry) -> Values:
    return {"changes": Value(item["changes"].whole()), "skips": Value(item["skips"].whole())}
