"""The JSON of `graphlab analyze` as a Side, per call or per generation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from graphlab.diffing.entries import Entry
from graphlab.diffing.reading import Saved
from graphlab.diffing.side import Groups, Part, Side, Value, Values, added, timed
from graphlab.report.data import NodeRow, grouped
from graphlab.report.decoding import ReportFileError
from graphlab.report.diff_data import AttentionShape, Compared, GivenAs
from graphlab.report.group import Group

CALL, GENERATION = "call", "generation"
_NO_CALLS = (
    "the report was written when reports held no calls, so nothing is compared by op, module or call: write it again "
    "with `graphlab analyze --json`"
)

_SUMS = {"category": "categories", "role": "roles"}
"""{what groups are by: the key of their sums}."""


def is_bare(report: Entry) -> bool:
    """Whether the report is of a program alone: one stage, called like its workload, run once, with axes for sizes."""
    stages = list(report["stages"].each())
    if len(stages) != 1 or (stages[0]["steps"].whole(), stages[0]["calls_per_step"].whole()) != (1, 1):
        return False
    names = {item["name"].text() for item in stages[0]["inputs"].each()}
    axes = [name.rpartition(".")[0] for name, _ in report["bindings"].items()]
    return stages[0]["name"].value == report["workload"].value and all(axis in names for axis in axes)


def holds_calls(report: Entry) -> bool:
    """Whether the report lists the calls of its stages: those of older versions do not."""
    return all(item.has("nodes") for item in report["stages"].each())


def input_shapes(stage: Entry) -> dict[str, tuple[int, ...]]:
    """{input of a stage: its shape}."""
    return {item["name"].text(): tuple(d.whole() for d in item["shape"].each()) for item in stage["inputs"].each()}


def analysis_side(saved: Saved, stage: str | None, per: str, given_as: GivenAs, *, calls: bool) -> Side:
    """`saved` as a Side of its stages, or of `stage` alone; numbers are of one call or of a generation (`per`).

    `calls`: whether those of the stages are read too, which takes a report that holds them.
    """
    report = saved.data
    parts = tuple(_part(item, _calls(item) if calls else None, per) for item in report["stages"].named(stage))
    return Side(
        compared=Compared(saved.label, given_as, saved.workload),
        bindings=report["bindings"].settings(),
        settings={"device": report["device"].shown()},
        parts=parts,
        totals=_totals(parts),
        bare=is_bare(report),
        notes=() if holds_calls(report) else (_NO_CALLS,),
    )


def _calls(stage: Entry) -> tuple[NodeRow, ...]:
    """The calls of the stage; ReportFileError where they are not those that its categories and roles sum up."""
    rows = stage["nodes"].decoded(tuple[NodeRow, ...])
    for by, key in _SUMS.items():
        sums = {name: _whole(group) for name, group in grouped(rows, by).items()}
        if sums != {name: _whole(_group(item)) for name, item in stage[key].items()}:
            raise ReportFileError(
                f"{stage.label}: {stage.path}.nodes: the calls do not add up to {stage.path}.{key}",
                hint="was it edited? write the report again",
            )
    return rows


def _whole(group: Group) -> tuple[int, ...]:
    """What is compared of a group; FLOP that are unknown were 0 in files of older versions."""
    return group.nodes, group.flops or 0, group.pointwise_flops or 0, group.bytes


def _group(item: Entry) -> Group:
    return item.decoded(Group, {"unknown": "unknown_nodes"})


def _part(stage: Entry, calls: tuple[NodeRow, ...] | None, per: str) -> Part:
    unknown = sum(item["nodes"].whole() for item in stage["unknown"].each())
    attention = tuple(item.decoded(AttentionShape) for item in stage["attention"].each())
    texts = {"flops": stage["flops_expression"].maybe(Entry.text) or "unknown"}
    texts |= {f"bytes {name}": item.text() for name, item in stage["bytes_expression"].items()}
    settings = {"dtype": stage["dtype"].text(), "batch": stage["batch"].shown()}
    if per == GENERATION:
        settings["calls"] = f"{stage['steps'].whole()} x {stage['calls_per_step'].whole()}"
    return Part(
        name=stage["name"].text(),
        values=_values(stage, attention, unknown, per),
        groups=_groups(stage, calls, unknown),
        settings=settings,
        inputs=input_shapes(stage),
        texts=texts,
        symbols=tuple(name for name, _ in stage["symbols"].items()),
        attention=attention,
        nodes=calls,
        weights=stage["weights"].text(),
    )


def _values(stage: Entry, attention: tuple[AttentionShape, ...], unknown: int, per: str) -> Values:
    times = "per_step" if per == CALL else "total"
    moved, peak = stage[f"bytes_{times}"], stage["peak_activation_bytes"]
    seconds = stage["estimate"].maybe(lambda item: item["seconds" if per == CALL else "seconds_total"].number())
    fused = sum(item.fused for item in attention)
    return {
        "flops": Value(stage[f"flops_{times}"].maybe(Entry.whole), unknown),
        "pointwise": Value(stage[f"pointwise_flops_{times}"].maybe(Entry.whole), unknown),
        "bytes": Value(moved["fused"].whole()),
        "bytes_materialized": Value(moved["materialized"].whole()),
        "peak_memory": Value(peak["fused"].whole()),
        "peak_memory_materialized": Value(peak["materialized"].whole()),
        "cache_bytes": Value(stage["cache_bytes"].whole()),
        "params": Value(stage["parameters"].whole()),
        "weight_bytes": Value(sum(item.whole() for _, item in stage["weight_bytes"].items())),
        "seconds": timed(seconds, unknown),
        "nodes": Value(sum(item["nodes"].whole() for _, item in stage["categories"].items())),
        "attention": Value(len(attention)),
        "attention_fused": Value(fused),
        "attention_spelled": Value(len(attention) - fused),
        "uncounted": Value(unknown),
    }


def _groups(stage: Entry, calls: Sequence[NodeRow] | None, unknown: int) -> Groups:
    """Costs of one call by category and role, and where its `calls` are read by op and module.

    Where they are not, one of the two sides was written when sums did not say in which roles the `unknown` calls
    without a rule are: each may hold all of them, on both sides.
    """
    if calls is None:
        return {
            "category": {name: _costs(group, group.unknown) for name, group in _groups_of(stage["categories"])},
            "role": {name: _costs(_counted(group), unknown) for name, group in _groups_of(stage["roles"])},
        }
    found: dict[str, Mapping[str, Values]] = {}
    for by in ("category", "role", "op", "module"):
        groups = grouped(calls, by)
        names = [name for name, _ in stage[_SUMS[by]].items()] if by in _SUMS else groups
        found[by] = {name: _costs(groups[name], groups[name].unknown) for name in names}
    return found


def _groups_of(sums: Entry) -> Iterator[tuple[str, Group]]:
    return ((name, _group(item)) for name, item in sums.items())


def _counted(group: Group) -> Group:
    """`group` with what is counted of its FLOP: 0 where that is nothing."""
    return replace(group, flops=group.flops or 0, pointwise_flops=group.pointwise_flops or 0)


def _costs(group: Group, uncounted: int) -> Values:
    return {
        "nodes": Value(group.nodes),
        "flops": Value(group.flops, uncounted),
        "pointwise": Value(group.pointwise_flops, uncounted),
        "bytes_materialized": Value(group.bytes),
        "seconds": timed(group.seconds, uncounted),
    }


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
