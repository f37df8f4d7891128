"""Tables of a `ProfileReport`: each is defined once here and drawn by the terminal and by the Markdown writer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from graphlab.report.profile_data import CallProfile, ProfileReport, StageProfile, TimeGroup
from graphlab.report.tables import Column, Table
from graphlab.units import format_seconds, format_share


def profile_fields(report: ProfileReport) -> Iterator[tuple[str, str]]:
    """(name, value) of what was measured, on what, and under which settings."""
    yield ("workload", report.workload)
    yield ("source", report.source)
    yield ("measured on", f"{report.device} ({report.device_type})")
    yield ("threads", str(report.threads))
    yield ("torch", report.torch_version)
    for name, value in report.bindings.items():
        yield (name, f"{value:g}" if isinstance(value, float) else str(value))
    for stage in report.stages:
        yield (f"{stage.name} dtype", stage.dtype)


def calls_table(report: ProfileReport) -> Table:
    """One row a call that was run, and the generation it stands for."""
    heads = ("step", "n", "median", "p10", "p90", "plain", "coverage", "total")
    rows = [_call_row(stage, call) for stage in report.stages for call in stage.calls]
    if len(report.stages) > 1:
        rows.append(("total", *[""] * (len(heads) - 1), format_seconds(report.seconds_total)))
    note = (
        "wall time of one call over n rounds; plain: the same without a clock at every node; coverage: share of the "
        "wall time that falls on nodes; total: all calls of all steps"
    )
    return Table(
        "Measured calls", (Column("stage", number=False, whole=True), *map(Column, heads)), tuple(rows), note=note
    )


def _call_row(stage: StageProfile, call: CallProfile) -> tuple[str, ...]:
    last = call is stage.calls[-1]
    return (
        stage.name,
        str(call.step),
        str(call.rounds),
        format_seconds(call.seconds),
        format_seconds(call.low),
        format_seconds(call.high),
        format_seconds(call.seconds_plain),
        format_share(call.coverage, 1),
        format_seconds(stage.seconds_total) if last else "",
    )


def times_table(stage: StageProfile, by: str, *, depth: int | None = None, top: int | None = None) -> Table:
    """Measured times of `stage` by "category", "role", "op" or "module" (cut to `depth` names), `top` rows.

    Sums of medians over the nodes, for all calls of a generation and for their mean.
    """
    groups = _shortened(stage.by(by), depth if by == "module" else None)
    whole = sum(group.seconds for group in groups.values())
    names = list(groups)
    shown = {name: groups[name] for name in names[:top]}
    note = "shares of the time on nodes"
    if by == "category" and any(not item.fused for item in stage.calls[0].attention):
        note += "; an attention that is spelled out stands under the categories of its products and its softmax"
    if len(shown) < len(names):
        shown[f"({len(names) - len(shown)} more)"] = sum((groups[name] for name in names[top:]), TimeGroup())
        note += f"; --top {len(names)} shows all"
    rows = [
        (
            name,
            str(group.nodes),
            format_seconds(group.seconds / stage.calls_total),
            format_seconds(group.seconds),
            format_share(group.seconds, whole),
        )
        for name, group in shown.items()
    ]
    columns = (Column(by, number=False), *map(Column, ("nodes", "a call", "total", "share")))
    shares = tuple(group.seconds / whole if whole else 0.0 for group in shown.values())
    title = f"{stage.name}: measured time of {stage.calls_total} calls by {by}"
    return Table(title, columns, tuple(rows), shares, note=note)


def _shortened(groups: Mapping[str, TimeGroup], depth: int | None) -> dict[str, TimeGroup]:
    found: dict[str, TimeGroup] = {}
    for name, group in groups.items():
        short = (".".join(name.split(".")[:depth]) if depth is not None else name) or "(top level)"
        found[short] = found.get(short, TimeGroup()) + group
    return dict(sorted(found.items(), key=lambda item: (-item[1].seconds, item[0])))


def attention_times_table(stage: StageProfile, *, top: int | None = None) -> Table | None:
    """Attentions of the first call that was run, in call order; None for a stage without attention."""
    call = stage.calls[0]
    if not call.attention:
        return None
    whole = call.seconds_attributed
    rows = tuple(
        (
            item.node,
            item.kind or "unknown",
            item.axis or "unknown",
            "yes" if item.fused else "no",
            str(item.q_tokens),
            str(item.kv_tokens),
            format_seconds(item.seconds),
            format_share(item.seconds, whole),
        )
        for item in call.attention[:top]
    )
    texts = (Column(head, number=False) for head in ("node", "kind", "axis", "fused"))
    numbers = (Column(head) for head in ("queries", "keys", "a call", "share"))
    total = sum(item.seconds for item in call.attention)
    note = f"products, scale and softmax, no projections: {format_share(total, whole)} of step {call.step}"
    note += f"; {len(call.attention) - len(rows)} not shown" if len(rows) < len(call.attention) else ""
    return Table(f"{stage.name}: measured attention", (*texts, *numbers), rows, note=note)


def profile_tables(
    report: ProfileReport, by: str = "category", *, depth: int | None = None, top: int | None = None
) -> Iterator[Table]:
    """Every table of a report in reading order; `by` is one of graphlab.report.tables.GROUPINGS."""
    yield calls_table(report)
    for stage in report.stages:
        table = attention_times_table(stage, top=top) if by == "attention" else None
        if by != "attention":
            table = times_table(stage, by, depth=depth, top=top)
        if table is not None:
            yield table


def profile_notes(report: ProfileReport) -> list[str]:
    """The notes of the report, then those of its stages after their names."""
    return [*report.notes, *(f"{stage.name}: {note}" for stage in report.stages for note in stage.notes)]
