"""Tables and lines of a `RewriteReport`: each is defined once here and drawn by the terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from graphlab.report.rewrite_data import (
    PartRow,
    RegionGroup,
    ReuseRow,
    RewriteReport,
    SkipGroup,
    SplitRow,
    StageRewrite,
    TensorRow,
    VerificationRow,
    pattern,
)
from graphlab.report.tables import Column, Table
from graphlab.report.wording import LEFT_OUT, SPELLED_BYTES, count_text
from graphlab.units import format_bytes, format_count, format_seconds, format_share


def rewrite_fields(report: RewriteReport) -> Iterator[tuple[str, str]]:
    """(name, value) of what was rewritten, how, and at which sizes."""
    yield ("workload", report.workload)
    yield ("source", report.source)
    yield ("level", f"-O{report.level}" if report.level is not None else "none")
    yield ("passes", ", ".join(report.passes) or "none")
    if report.approximate:
        yield ("approximate", f"{', '.join(report.approximate)}: results may differ from the exact model's")
    for name, value in report.bindings.items():
        yield (name, f"{value:g}" if isinstance(value, float) else str(value))


def rewrite_tables(report: RewriteReport) -> Iterator[Table]:
    """Every table of a report in reading order."""
    for stage in report.stages:
        yield figures_table(stage)
        yield passes_table(stage)
        if stage.masks:
            yield masks_table(stage)
        if stage.new_tensors:
            yield tensors_table(stage)
        if stage.skips:
            yield skips_table(stage)
        if stage.split is not None and stage.split.parts:
            yield split_table(stage.name, stage.split)
        if stage.reuse is not None and stage.reuse.parts:
            yield reuse_table(stage.name, stage.reuse)


def figures_table(stage: StageRewrite) -> Table:
    """Calls, FLOP, bytes, attention and weights, before and after."""
    before, after = stage.before, stage.after
    pairs = [
        ("calls", str(before.nodes), str(after.nodes)),
        ("FLOP", count_text(before.flops, before.unknown), count_text(after.flops, after.unknown)),
        (
            "pointwise FLOP",
            count_text(before.pointwise_flops, before.unknown),
            count_text(after.pointwise_flops, after.unknown),
        ),
        (SPELLED_BYTES, format_bytes(before.bytes), format_bytes(after.bytes)),
        ("peak activations", format_bytes(before.peak_bytes), format_bytes(after.peak_bytes)),
        ("attention, fused", str(before.attention_fused), str(after.attention_fused)),
        ("attention, spelled out", str(before.attention_spelled), str(after.attention_spelled)),
        ("weights", format_bytes(before.weight_bytes), format_bytes(after.weight_bytes)),
    ]
    if before.unknown or after.unknown:
        pairs.append(("calls without a rule", str(before.unknown), str(after.unknown)))
    columns = (Column("of one call", number=False, whole=True), Column("before"), Column("after"))
    note = "bytes: read and written by the calls as they are spelled; scores of a spelled-out attention among them"
    note += f"; {LEFT_OUT}" if before.unknown or after.unknown else ""
    return Table(f"{stage.name}: before and after", columns, tuple(pairs), note=note)


def passes_table(stage: StageRewrite) -> Table:
    """One row a pass, and their sum."""
    rows = [(row.name, str(row.changes), str(row.skips), format_seconds(row.seconds)) for row in stage.passes]
    total = [sum(values) for values in zip(*((r.changes, r.skips, r.seconds) for r in stage.passes), strict=True)]
    if len(rows) > 1:
        rows.append(("total", str(total[0]), str(total[1]), format_seconds(total[2])))
    columns = (Column("pass", number=False, whole=True), *map(Column, ("changes", "skips", "time")))
    return Table(f"{stage.name}: passes", columns, tuple(rows), note="skips: candidates that stayed, with the reasons")


def tensors_table(stage: StageRewrite) -> Table:
    """The weights that were made, those with alike names together, the largest sums first."""
    groups: dict[tuple[str, str], list[TensorRow]] = {}
    for row in stage.new_tensors:
        groups.setdefault((pattern(row.key), _origins(row)), []).append(row)
    sums = {key: sum(row.nbytes for row in rows) for key, rows in groups.items()}
    order = sorted(groups, key=lambda key: (-sums[key], key))
    rows = tuple((f"{len(groups[key])} x", format_bytes(sums[key]), *key) for key in order)
    note = f"{len(stage.new_tensors)} new tensors of {format_bytes(sum(sums.values()))}; "
    note += f"{len(stage.dropped)} weights of {format_bytes(sum(row.nbytes for row in stage.dropped))} dropped"
    texts = (Column(head, number=False) for head in ("new tensor", "made of"))
    heads = (Column("new"), Column("bytes"), *texts)
    return Table(f"{stage.name}: new tensors", heads, rows, note=note + "; all others are shared")


def _origins(row: TensorRow) -> str:
    """What a tensor is made of, without the names of modules it shares with the tensor itself."""
    home = row.key.split(".")[:-1]
    while home and not all(origin.startswith(".".join(home) + ".") for origin in row.origins):
        home.pop()
    names = [pattern(".".join(origin.split(".")[len(home) :])) for origin in row.origins]
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def masks_table(stage: StageRewrite) -> Table:
    """One row a masked weight."""
    rows = tuple(
        (
            row.key,
            "x".join(map(str, row.shape)),
            str(row.set_entries),
            format_share(row.set_entries, row.entries),
            str(row.changed_entries),
            "NaN" if row.max_abs_change is None else f"{row.max_abs_change:.3g}",
            "-" if row.ignored_entries is None else str(row.ignored_entries),
        )
        for row in stage.masks
    )
    heads = map(Column, ("set", "density", "changed", "largest", "left out"))
    columns = (Column("weight", number=False), Column("shape", number=False, whole=True), *heads)
    note = "largest: |after - before|; left out: entries the checkpoint changes and the mask does not set"
    return Table(f"{stage.name}: masked weights", columns, rows, note=note)


def skips_table(stage: StageRewrite) -> Table:
    """One row a pass, reason and pattern of modules."""
    return skipped_table(stage.name, stage.skips)


def skipped_table(stage: str, skips: Sequence[SkipGroup]) -> Table:
    """`skips_table` of the candidates `skips` of a stage."""
    heads = (Column("skipped"), *(Column(head, number=False) for head in ("pass", "why", "in")))
    return Table(f"{stage}: what stayed, and why", heads, tuple(map(_skip_row, skips)))


def _skip_row(group: SkipGroup) -> tuple[str, ...]:
    place = group.module or group.source or group.nodes[0]
    return (f"{group.count} x", group.pass_name, group.why, place)


_RUNS = {"before": "every step", "prologue": "once", "table": "once a timestep, before the loop", "step": "every step"}


def split_table(name: str, row: SplitRow) -> Table:
    """One row a part of a stage that was split over its loop, the stage before among them."""
    note = f"{format_share(row.parameters_share, 1)} of the parameters leave the loop; weights that stay there and are "
    note += f"read elsewhere too: {format_bytes(row.shared_weight_bytes)}; the step takes "
    note += (
        f"{format_bytes(row.boundary_bytes)} of the prologue and {format_bytes(row.row_bytes)} of a row of the table"
    )
    return _parts_table(f"{name}: over the loop", row.parts, _RUNS, note)


def reuse_table(name: str, row: ReuseRow) -> Table:
    """One row a program of a stage that reuses features, the stage before among them; its title says approximate."""
    runs = {"before": "every step", "refresh": f"every {row.every}. step, from the first", "reuse": "the other steps"}
    if row.steps is not None and row.refreshes is not None:
        counts = {"before": row.steps, "refresh": row.refreshes, "reuse": row.steps - row.refreshes}
        runs = {part: f"{text}: {counts[part]}" for part, text in runs.items()}
    note = f"kept between steps, of one call: {', '.join(item.module or item.name for item in row.kept)}, "
    note += format_bytes(sum(item.nbytes for item in row.kept))
    if row.flops_before is not None and row.flops_after is not None:
        unknown = sum(item.unknown for item in row.parts)
        before, after = count_text(row.flops_before, unknown), count_text(row.flops_after, unknown)
        note += f"; FLOP of a generation: {before} exact, {after} approximate "
        note += f"({format_share(row.flops_after, row.flops_before)}{' of what is counted' if unknown else ''})"
    return _parts_table(f"{name}: approximate, features reused", row.parts, runs, note)


def _parts_table(title: str, parts: Sequence[PartRow], runs: Mapping[str, str], note: str) -> Table:
    rows = tuple(
        (
            item.part,
            runs[item.part],
            str(item.nodes),
            count_text(item.flops, item.unknown),
            format_bytes(item.weight_bytes),
            format_count(item.parameters),
        )
        for item in parts
    )
    texts = (Column("part", number=False, whole=True), Column("runs", number=False))
    note += f"; {LEFT_OUT}" if any(item.unknown for item in parts) else ""
    return Table(title, (*texts, *map(Column, ("calls", "FLOP", "weights", "params"))), rows, note=note)


def verifications(stage: StageRewrite) -> Iterator[tuple[str, VerificationRow]]:
    """(title, outcome) of what was compared: before and after the rewrites, then the parts of a split."""
    if stage.verification is not None:
        before = " before features are reused" if stage.reuse is not None and stage.reuse.parts else ""
        yield f"{stage.name}: verification{before}", stage.verification
    if stage.split is not None and stage.split.verification is not None:
        yield f"{stage.name}: verification over the loop", stage.split.verification
    if stage.reuse is not None and stage.reuse.verification is not None:
        yield f"{stage.name}: verification where nothing is old", stage.reuse.verification


def verification_lines(row: VerificationRow) -> Iterator[str]:
    """What was compared with what, at which sizes, and how large the errors were."""
    if not row.compared and row.unchecked:
        yield f"not compared with {row.base}"
        yield from (f"not checked: {text}" for text in row.unchecked)
        return
    yield f"equal to {row.base}, compared {'whole' if row.mode == 'whole' else 'region by region'}"
    yield f"sizes: {'; '.join(_sizes(item) for item in row.bindings) or 'those of the capture'}"
    yield f"float64: largest relative error {_error(row.worst_float64)}"
    yield f"model's dtype: {_error(row.worst_model)}; rounding alone gives {_error(row.own_error)}"
    distinct = f", {row.distinct} of them different" if row.mode == "regions" else ""
    yield f"{row.compared} {'regions' if row.mode == 'regions' else 'values'} compared{distinct}"
    for text in row.unchecked:
        yield f"not checked: {text}"


def _sizes(sizes: object) -> str:
    assert isinstance(sizes, dict)
    return ", ".join(f"{name}={size}" for name, size in sizes.items()) or "those of the capture"


def _error(value: float | None) -> str:
    return "not compared" if value is None else f"{value:.3g}"


def drift_lines(stage: StageRewrite) -> Iterator[str]:
    """How far an approximate stage is off: measured, passed by nothing; no line where nothing was measured."""
    drift = stage.reuse.drift if stage.reuse is not None else None
    if drift is None:
        return
    shown = ", ".join("not finite" if value is None else f"{value:.3g}" for value in drift.differences)
    yield f"features {drift.age} steps old: results differ by {shown} (root mean square over that of the exact result)"
    yield f"at steps {', '.join(map(str, drift.places))} of {drift.steps}, inputs drawn, weights {drift.weights}"
    yield "measured, not judged: what it does to images is for the model's own metrics to say"


def diff_lines(group: RegionGroup) -> Iterator[str]:
    """The regions that changed alike as text: where and why, then `-` and `+` lines of the first of them."""
    many = f"{group.count} x " if group.count > 1 else ""
    yield f"@@ {many}{group.module or '(top level)'}{' ' if group.sources else ''}{', '.join(group.sources[:3])} @@"
    for reason in group.reasons:
        yield f"# {reason.pass_name}: {reason.why}"
    yield f"# {len(group.before)} calls -> {len(group.after)}"
    yield from (f"- {text}" for text in group.before)
    yield from (f"+ {text}" for text in group.after)


def stage_notes(stage: StageRewrite) -> Iterator[str]:
    """What a reader has to know about a stage beyond its tables."""
    yield from stage.notes
    if stage.split is not None and stage.split.reason:
        yield f"not split over the loop: {stage.split.reason}"
    if stage.reuse is not None and stage.reuse.reason:
        yield f"no feature is reused: {stage.reuse.reason}"
    if not stage.holds_weights:
        yield "captured on the meta device: the program holds shapes and dtypes of its weights, no values"
    if stage.output is not None:
        yield f"written to {stage.output}"
