"""The JSON of `graphlab characterize` as a Side: a part a model, its stages as groups."""

from __future__ import annotations

from graphlab.diffing.entries import Entry
from graphlab.diffing.reading import Saved
from graphlab.diffing.side import Part, Side, Value, Values, timed
from graphlab.report.diff_data import Compared, GivenAs

_STAGE = {
    "flops": "flops",
    "bytes": "bytes_fused",
    "bytes_materialized": "bytes_baseline",
    "params": "parameters",
    "seconds": "seconds_fused",
    "seconds_materialized": "seconds_baseline",
    "seconds_compiled": "seconds_compiled",
    "seconds_idle": "idle_fused",
}
_MODEL = {
    **_STAGE,
    "peak_memory": "peak_bytes_fused",
    "peak_memory_materialized": "peak_bytes_baseline",
    "weight_bytes": "weight_bytes",
}


def characterization_side(saved: Saved, stage: str | None, given_as: GivenAs) -> Side:
    """`saved` as a Side of a generation of every model; `stage` picks the stages that are shown of each."""
    report = saved.data
    parts = tuple(_model(item, stage) for item in report["models"].each())
    findings = {item["name"].text(): item["verdict"].text() for item in report["findings"].each()}
    return Side(
        compared=Compared(saved.label, given_as, saved.workload),
        bindings={},
        settings={"device": report["device"].shown(), "dtype": report["dtype"].shown()},
        parts=parts,
        totals=dict(parts[0].values) if len(parts) == 1 else {},
        texts=findings,
    )


def _model(model: Entry, stage: str | None) -> Part:
    stages = model["stages"].named(stage)
    calls = {f"{item['name'].text()} calls": item["calls"].shown() for item in stages}
    return Part(
        name=model["name"].text(),
        values=_values(model, _MODEL),
        groups={"stage": {item["name"].text(): _values(item, _STAGE) for item in stages}},
        settings={**model["bindings"].settings(), **calls},
        weights=model["name"].text(),
    )


def _values(item: Entry, keys: dict[str, str]) -> Values:
    """The quantities `keys`; files of older versions do not say how many calls have no rule."""
    told = item.has("unknown_nodes")
    unknown = item["unknown_nodes"].whole() if told else 0
    found = {name: Value(item[key].maybe(Entry.number)) for name, key in keys.items()}
    found |= {name: timed(value.number, unknown) for name, value in found.items() if name.startswith("seconds")}
    found["flops"] = Value(found["flops"].number, unknown)
    return {**found, "uncounted": Value(unknown)} if told else found
