"""Tables as data: each is defined once here and drawn by the terminal and by the Markdown writer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from graphlab.report.data import AnalysisReport, AttentionRow, Estimate, Fit, StageReport
from graphlab.report.group import Group, falling
from graphlab.report.wording import (
    FUSED_BYTES,
    LEFT_OUT,
    MATERIALIZED_BYTES,
    TIMED_LEFT_OUT,
    UNKNOWN,
    count_text,
    marked,
    time_text,
)
from graphlab.units import format_bytes, format_count, format_seconds, format_share

GROUPINGS = ("category", "role", "module", "op", "attention")
"""What `--by` takes."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its head, and whether it holds numbers (aligned right). Numbers, and text that is to stay
    `whole`, are never wrapped or cut."""

    head: str
    number: bool = True
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its cells as text. `shares`, one a row from 0 to 1, may be drawn as bars. `note` follows it."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    shares: tuple[float, ...] | None = None
    note: str = ""


def stages_table(report: AnalysisReport) -> Table:
    """One row a stage, and their sum when there are several."""
    timed = any(stage.estimate is not None for stage in report.stages)
    heads = ("calls", "params", "FLOP", "in total", FUSED_BYTES, "peak", *(["ideal"] if timed else []))
    columns = (Column("stage", number=False), *map(Column, heads))
    rows = [_stage_row(stage, timed) for stage in report.stages]
    if len(rows) > 1:
        rows.append(_total_row(report, timed))
    note = "calls: steps x calls a step; FLOP and bytes: one call; peak: activations; attention fused"
    note += "; ideal: an estimate of all calls" if timed else ""
    note += f"; {left_out(timed)}" if any(stage.unknown for stage in report.stages) else ""
    return Table("Stages", columns, tuple(rows), note=note)


def left_out(timed: bool) -> str:
    """What a "+" after a sum means; `timed` where times carry one too."""
    return TIMED_LEFT_OUT if timed else LEFT_OUT


def _stage_row(stage: StageReport, timed: bool) -> tuple[str, ...]:
    unknown = stage.unknown_nodes
    seconds = marked(format_seconds(stage.estimate.seconds_total), unknown) if stage.estimate is not None else "-"
    return (
        stage.name,
        f"{stage.steps} x {stage.calls_per_step}",
        format_count(stage.parameters),
        count_text(stage.flops_per_step, unknown),
        count_text(stage.flops_total, unknown),
        format_bytes(stage.bytes_per_step.fused),
        format_bytes(stage.peak_activation_bytes.fused),
        *([seconds] if timed else []),
    )


def _total_row(report: AnalysisReport, timed: bool) -> tuple[str, ...]:
    totals = report.totals
    seconds, unknown = totals["seconds_estimate"], totals["unknown_nodes"]
    return (
        "total",
        "",
        format_count(totals["parameters"]),
        "",
        count_text(totals["flops"], unknown),
        "",
        format_bytes(totals["peak_activation_bytes"]["fused"]),
        *([marked(format_seconds(seconds), unknown) if seconds is not None else "-"] if timed else []),
    )


def groups_table(stage: StageReport, by: str, *, depth: int | None = None, top: int | None = None) -> Table:
    """Costs of one call of `stage` by "category", "role", "module" (cut to `depth` names) or "op", `top` rows.

    Shares, and the order of modules and ops, are of the ideal time where a device was given, of FLOPs otherwise.
    """
    groups = _groups(stage, by, depth)
    whole = sum(groups.values(), Group())
    timed = whole.seconds is not None
    if timed:
        groups = dict(sorted(groups.items(), key=lambda item: -(item[1].seconds or 0.0)))
    shown, left = _cut(groups, top)
    heads = ["calls", "FLOP", "pointwise", MATERIALIZED_BYTES, *(["ideal time"] if timed else []), "share"]
    measure = "the ideal time, attention fused" if timed else "the FLOPs that are known" if whole.unknown else "FLOPs"
    note = f"shares of {measure}; materialized: attention scores in memory"
    if timed and by in ("category", "op") and any(not row.fused for row in stage.attention):
        note += "; the time of an attention that is spelled out stands at its softmax"
    note += f"; {left_out(timed)}" if whole.unknown else ""
    return Table(
        f"{stage.name}: one call by {by}",
        (Column(by, number=False), *map(Column, heads)),
        tuple(_group_row(name, group, whole) for name, group in shown.items()),
        tuple(_weight(group, whole) for group in shown.values()),
        note="; ".join([note, *left]),
    )


def _groups(stage: StageReport, by: str, depth: int | None) -> dict[str, Group]:
    if by == "category":
        return stage.categories
    if by == "role":
        return stage.roles
    groups: dict[str, Group] = {}
    for name, group in stage.by(by).items():
        short = ".".join(name.split(".")[:depth]) if by == "module" and depth is not None else name
        short = short or "(top level)"
        groups[short] = groups.get(short, Group()) + group
    return falling(groups)


def _cut(groups: Mapping[str, Group], top: int | None) -> tuple[dict[str, Group], list[str]]:
    names = list(groups)
    if top is None or len(names) <= top:
        return dict(groups), []
    rest = sum((groups[name] for name in names[top:]), Group())
    shown = {name: groups[name] for name in names[:top]}
    return {**shown, f"({len(names) - top} more)": rest}, [f"--top {len(names)} shows all"]


def _weight(group: Group, whole: Group) -> float:
    if whole.seconds is not None:
        return (group.seconds or 0.0) / whole.seconds if whole.seconds else 0.0
    return (group.flops or 0) / whole.flops if whole.flops else 0.0


def _group_row(name: str, group: Group, whole: Group) -> tuple[str, ...]:
    return (
        name,
        str(group.nodes),
        count_text(group.flops, group.unknown),
        count_text(group.pointwise_flops, group.unknown),
        format_bytes(group.bytes),
        *([time_text(group)] if whole.seconds is not None else []),
        _share(group, whole),
    )


def _share(group: Group, whole: Group) -> str:
    """Its share of the measure; "unknown" for a share of FLOPs where its own are, "-" where the whole is nothing."""
    if whole.seconds is None and group.flops is None:
        return UNKNOWN
    measured = whole.flops if whole.seconds is None else whole.seconds
    return format_share(_weight(group, whole), 1) if measured else "-"


def attention_table(stage: StageReport, *, grouped: bool = True, top: int | None = None) -> Table | None:
    """Attentions of one call in call order; `grouped` writes what repeats once, with how often it does.

    "3 x (" opens a repeated sequence and ")" closes it. None for a stage without attention.
    """
    if not stage.attention:
        return None
    shown = stage.attention if grouped or top is None else stage.attention[:top]
    first = Column("times", whole=True, number=False) if grouped else Column("node", number=False)
    rows = _cycles(shown) if grouped else [_attention_row(row.node, row, row.flops) for row in shown]
    kinds = tuple(Column(head, number=False) for head in ("kind", "axis", "causal"))
    heads = ("batch", "heads", "queries", "keys", "width", "FLOP")
    fused = sum(row.fused for row in stage.attention)
    note = f"in call order; {fused} fused, {len(stage.attention) - fused} spelled out"
    note += f"; {len(stage.attention) - len(shown)} not shown" if len(shown) < len(stage.attention) else ""
    return Table(f"{stage.name}: attention", (first, *kinds, *map(Column, heads)), tuple(rows), note=note)


def _cycles(rows: Sequence[AttentionRow]) -> Iterator[tuple[str, ...]]:
    keys = [_key(row) for row in rows]
    at = 0
    while at < len(rows):
        length, times = _cycle(keys, at)
        for offset in range(length):
            flops = sum(rows[at + offset + length * turn].flops for turn in range(times))
            yield _attention_row(_bracket(offset, length, times), rows[at + offset], flops)
        at += length * times


def _cycle(keys: Sequence[object], at: int, longest: int = 6) -> tuple[int, int]:
    """(length, times) of the repetition from `at` that covers most; (1, 1) where nothing repeats."""
    best = (1, 1)
    for length in range(1, longest + 1):
        times = 1
        while keys[at : at + length] == keys[at + length * times : at + length * (times + 1)]:
            times += 1
        if times > 1 and length * times > best[0] * best[1]:
            best = (length, times)
    return best


def _bracket(offset: int, length: int, times: int) -> str:
    if length == 1 or times == 1:
        return f"{times} x"
    return f"{times} x (" if offset == 0 else ")" if offset == length - 1 else ""


def _key(row: AttentionRow) -> tuple[object, ...]:
    sizes = (row.batch, row.heads, row.q_tokens, row.kv_tokens, row.head_dim)
    return (row.kind, row.axis, row.causal, row.fused, *sizes)


def _attention_row(first: str, row: AttentionRow, flops: int) -> tuple[str, ...]:
    return (
        first,
        row.kind or "unknown",
        row.axis or "unknown",
        {True: "yes", False: "no", None: "unknown"}[row.causal],
        str(row.batch),
        "unknown" if row.heads is None else str(row.heads),
        str(row.q_tokens),
        str(row.kv_tokens),
        str(row.head_dim),
        format_count(flops),
    )


def scaling_table(stage: StageReport) -> Table | None:
    """How FLOPs of one call grow with each size; None where every size is fixed."""
    if not stage.scaling:
        return None
    columns = (Column("size", number=False), Column("value"), Column("degree"), Column("exponent here"))
    rows = tuple(
        (item.symbol, str(stage.symbols.get(item.symbol, "")), str(item.degree), f"{item.exponent:.3f}")
        for item in stage.scaling
    )
    notes = ["image_side: height and width together"] if any(i.symbol == "image_side" for i in stage.scaling) else []
    notes += [f"without {stage.unknown_nodes} calls that have no rule"] if stage.unknown else []
    return Table(f"{stage.name}: how FLOPs grow", columns, rows, note="; ".join(notes))


def inputs_table(report: AnalysisReport) -> Table:
    """Inputs of every stage with the name of each axis ("h" of "sample" is "sample.h"); a star marks symbols."""
    rows = [
        (
            stage.name,
            item.name,
            " x ".join(map(str, item.shape)) or "scalar",
            item.dtype,
            " ".join(_axis(item.name, a, s) for a, s in zip(item.axes, item.symbolic, strict=True)),
        )
        for stage in report.stages
        for item in stage.inputs
    ]
    columns = tuple(Column(head, number=False) for head in ("stage", "input", "shape", "dtype", "axes"))
    settable = f"--set takes {', '.join(report.bindings)}" if report.bindings else "--set takes nothing here"
    starred = any(any(item.symbolic) for stage in report.stages for item in stage.inputs)
    note = f"{settable}; * other sizes need no new capture" if starred else settable
    return Table("Inputs", columns, tuple(rows), note=note)


def _axis(name: str, axis: str, symbolic: bool) -> str:
    return axis.removeprefix(f"{name}.") + ("*" if symbolic else "")


def unknown_table(report: AnalysisReport) -> Table | None:
    """Ops without a rule in any stage; None where every op has one."""
    rows = [
        (stage.name, item.op, str(item.nodes), format_share(item.share, 1))
        for stage in report.stages
        for item in stage.unknown
    ]
    if not rows:
        return None
    columns = (Column("stage", number=False), Column("op", number=False), Column("calls"), Column("share of calls"))
    return Table("Ops without a rule", columns, tuple(rows), note="their FLOPs are unknown and in no sum")


def estimate_table(report: AnalysisReport) -> Table | None:
    """Roofline of one call of each stage; None without a device."""
    rows = [(stage, stage.estimate) for stage in report.stages if stage.estimate is not None]
    if not rows:
        return None
    heads = ("ideal/call", "unfused att.", "FLOP/byte", "ridge")
    note = "every call at its roofline: no launch overhead, nothing overlapped; FLOP/byte: attention fused"
    return Table(
        f"Ideal times on {report.device} (estimates)",
        (Column("stage", number=False), Column("bound", number=False), *map(Column, heads)),
        tuple(_estimate_row(stage, estimate) for stage, estimate in rows),
        note=f"{note}; {left_out(timed=True)}" if any(stage.unknown for stage, _ in rows) else note,
    )


def _estimate_row(stage: StageReport, estimate: Estimate) -> tuple[str, ...]:
    unknown = stage.unknown_nodes
    times = (marked(format_seconds(item), unknown) for item in (estimate.seconds, estimate.seconds_materialized))
    intensity = UNKNOWN if estimate.intensity is None else marked(f"{estimate.intensity:.4g}", unknown)
    return (stage.name, estimate.bound, *times, intensity, f"{estimate.ridge:.4g}")


def memory_table(report: AnalysisReport) -> Table:
    """Weights, peak activations and cache of each stage."""
    columns = (Column("stage", number=False), *map(Column, ("weights", "peak act.", "unfused att.", "cache")))
    rows = tuple(
        (
            stage.name,
            format_bytes(sum(stage.weight_bytes.values())),
            format_bytes(stage.peak_activation_bytes.fused),
            format_bytes(stage.peak_activation_bytes.materialized),
            format_bytes(stage.cache_bytes) if stage.cache_bytes else "-",
        )
        for stage in report.stages
    )
    return Table("Memory", columns, rows, note="; ".join(fit_lines(report.fit, report.device)))


def fit_lines(fit: Fit | None, device: str | None) -> Iterator[str]:
    """What can be said about `fit` in words, a line a fact."""
    if fit is None:
        return
    need = fit.weights_bytes + fit.activation_bytes + fit.cache_bytes
    verdict = "fits" if fit.fits else "does not fit"
    yield f"{verdict} {device}: {format_bytes(need)} of {format_bytes(fit.device_bytes)}, of which drivers keep some"
    if not fit.fits:
        yield f"one stage at a time {'fits' if fit.fits_one_stage_at_a_time else 'does not fit either'}"
    if fit.largest_batch is not None:
        more = " or more (not known beyond)" if fit.largest_batch == fit.batch_limit else ""
        yield f"largest batch that fits: {fit.largest_batch}{more}"


def binding_rows(report: AnalysisReport) -> Iterable[tuple[str, str]]:
    """(name, value) of every binding in force and of each stage's dtype."""
    for name, value in report.bindings.items():
        yield (name, f"{value:g}" if isinstance(value, float) else str(value))
    for stage in report.stages:
        yield (f"{stage.name} dtype", stage.dtype)


def report_tables(
    report: AnalysisReport, by: str = "category", *, depth: int | None = None, top: int | None = None
) -> Iterator[Table]:
    """Every table of a report in reading order; `by` is one of GROUPINGS."""
    yield stages_table(report)
    for stage in report.stages:
        if by != "attention":
            yield groups_table(stage, by, depth=depth, top=top)
        each = by == "attention"
        optional = (attention_table(stage, grouped=not each, top=top if each else None), scaling_table(stage))
        yield from (table for table in optional if table is not None)
    last = (estimate_table(report), memory_table(report), unknown_table(report), inputs_table(report))
    yield from (table for table in last if table is not None)
