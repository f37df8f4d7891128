"""The JSON of `graphlab analyze` as a Side, per call or per generation."""

from __future__ import annotations

from collections.abc import Mapping

from graphlab.diffing.entries import Entry
from graphlab.diffing.reading import Saved
from graphlab.diffing.side import Groups, Part, Side, Value, Values, added
from graphlab.report.data import Group, StageReport
from graphlab.report.diff_data import AttentionShape, Compared, GivenAs

CALL, GENERATION = "call", "generation"


def is_bare(report: Entry) -> bool:
    """Whether the report is of a program alone: one stage, called like its workload, run once, with axes for sizes."""
    stages = list(report["stages"].each())
    if len(stages) != 1 or (stages[0]["steps"].whole(), stages[0]["calls_per_step"].whole()) != (1, 1):
        return False
    names = {item["name"].text() for item in stages[0]["inputs"].each()}
    axes = [name.rpartition(".")[0] for name, _ in report["bindings"].items()]
    return stages[0]["name"].value == report["workload"].value and all(axis in names for axis in axes)


def analysis_side(saved: Saved, stage: str | None, per: str, given_as: GivenAs) -> Side:
    """`saved` as a Side of its stages, or of `stage` alone; numbers are of one call or of a generation (`per`)."""
    report = saved.data
    live = {item.name: item for item in saved.live.stages} if saved.live is not None else {}
    stages = [item for item in report["stages"].each() if stage in (None, item["name"].text())]
    parts = tuple(_part(item, live.get(item["name"].text()), per) for item in stages)
    return Side(
        compared=Compared(saved.label, given_as, saved.workload),
        bindings={name: item.shown() for name, item in report["bindings"].items()},
        settings={"device": report["device"].shown()},
        parts=parts,
        totals=_totals(parts),
        bare=is_bare(report),
    )


def _part(stage: Entry, live: StageReport | None, per: str) -> Part:
    unknown = sum(item["nodes"].whole() for item in stage["unknown"].each())
    attention = tuple(_attention(item) for item in stage["attention"].each())
    inputs = {item["name"].text(): tuple(d.whole() for d in item["shape"].each()) for item in stage["inputs"].each()}
    texts = {"flops": stage["flops_expression"].text()}
    texts |= {f"bytes {name}": item.text() for name, item in stage["bytes_expression"].items()}
    settings = {"dtype": stage["dtype"].text(), "batch": stage["batch"].shown()}
    if per == GENERATION:
        settings["calls"] = f"{stage['steps'].whole()} x {stage['calls_per_step'].whole()}"
    return Part(
        name=stage["name"].text(),
        values=_values(stage, attention, unknown, per),
        groups=_groups(stage, live, unknown),
        settings=settings,
        inputs=inputs,
        texts=texts,
        symbols=tuple(name for name, _ in stage["symbols"].items()),
        attention=attention,
        nodes=live.nodes if live is not None else None,
        weights=stage["weights"].text(),
    )


def _values(stage: Entry, attention: tuple[AttentionShape, ...], unknown: int, per: str) -> Values:
    times = "per_step" if per == CALL else "total"
    moved, peak = stage[f"bytes_{times}"], stage["peak_activation_bytes"]
    seconds = stage["estimate"].maybe(lambda item: item["seconds" if per == CALL else "seconds_total"].number())
    fused = sum(item.fused for item in attention)
    return {
        "flops": Value(stage[f"flops_{times}"].whole(), unknown),
        "pointwise": Value(stage[f"pointwise_flops_{times}"].whole(), unknown),
        "bytes": Value(moved["fused"].whole()),
        "bytes_materialized": Value(moved["materialized"].whole()),
        "peak_memory": Value(peak["fused"].whole()),
        "peak_memory_materialized": Value(peak["materialized"].whole()),
        "cache_bytes": Value(stage["cache_bytes"].whole()),
        "params": Value(stage["parameters"].whole()),
        "weight_bytes": Value(sum(item.whole() for _, item in stage["weight_bytes"].items())),
        "seconds": Value(seconds, unknown),
        "nodes": Value(sum(item["nodes"].whole() for _, item in stage["categories"].items())),
        "attention": Value(len(attention)),
        "attention_fused": Value(fused),
        "attention_spelled": Value(len(attention) - fused),
        "uncounted": Value(unknown),
    }


def _groups(stage: Entry, live: StageReport | None, unknown: int) -> Groups:
    """Costs of one call. The JSON does not say in which roles the calls without a rule are: each may hold them all."""
    found: dict[str, Mapping[str, Values]] = {
        "category": {
            name: _group(item, unknown if name == "other" else 0) for name, item in stage["categories"].items()
        },
        "role": {name: _group(item, unknown) for name, item in stage["roles"].items()},
    }
    if live is not None:
        found |= {by: {name: _live(group) for name, group in live.by(by).items()} for by in ("op", "module")}
    return found


def _group(item: Entry, uncounted: int) -> Values:
    return {
        "nodes": Value(item["nodes"].whole()),
        "flops": Value(item["flops"].whole(), uncounted),
        "pointwise": Value(item["pointwise_flops"].whole(), uncounted),
        "bytes_materialized": Value(item["bytes"].whole()),
        "seconds": Value(item["seconds"].maybe(Entry.number), uncounted),
    }


def _live(group: Group) -> Values:
    return {
        "nodes": Value(group.nodes),
        "flops": Value(group.flops, group.unknown),
        "pointwise": Value(group.pointwise_flops, group.unknown),
        "bytes_materialized": Value(group.bytes),
        "seconds": Value(group.seconds, group.unknown),
    }


def _attention(item: Entry) -> AttentionShape:
    return AttentionShape(
        kind=item["kind"].maybe(Entry.text),
        axis=item["axis"].maybe(Entry.text),
        causal=item["causal"].maybe(Entry.flag),
        fused=item["fused"].flag(),
        batch=item["batch"].whole(),
        heads=item["heads"].maybe(Entry.whole),
        q_tokens=item["q_tokens"].whole(),
        kv_tokens=item["kv_tokens"].whole(),
        head_dim=item["head_dim"].whole(),
    )


_LARGEST = {"peak_memory", "peak_memory_materialized", "cache_bytes"}
_SHARED = {"params", "weight_bytes"}


def _totals(parts: tuple[Part, ...]) -> Values:
    """Sums, the largest of what is not alive together, and weights that stages share once."""
    distinct = list({part.weights: part for part in reversed(parts)}.values())
    found: dict[str, Value] = {}
    for name in parts[0].values if parts else ():
        if name in _LARGEST:
            found[name] = Value(max(part.values[name].number or 0 for part in parts))
        else:
            found[name] = added([part.values[name] for part in (distinct if name in _SHARED else parts)])
    return found
