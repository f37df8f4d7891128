"""Tables and lines of an `ExportReport`: each is defined once here and drawn by the terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from graphlab.report.export_data import BindingCheck, ExportReport, ModelReport
from graphlab.report.rewrite_tables import skipped_table
from graphlab.report.tables import Column, Table
from graphlab.units import format_bytes, format_seconds

MOST_OPERATORS = 16
"""Rows of the table of operators; the JSON has all of them."""


def export_fields(report: ExportReport) -> Iterator[tuple[str, str]]:
    """(name, value) of what was exported, for what, and at which sizes."""
    yield ("workload", report.workload)
    yield ("source", report.source)
    yield ("target", report.target)
    yield ("level", f"-O{report.level}" if report.level is not None else "none")
    yield ("passes", ", ".join(report.passes) or "none")
    for name, value in report.bindings.items():
        yield (name, f"{value:g}" if isinstance(value, float) else str(value))


def export_tables(report: ExportReport) -> Iterator[Table]:
    """Every table of a report in reading order."""
    yield models_table(report)
    for model in report.models:
        yield operators_table(model)
        if model.skips:
            yield skipped_table(model.stage, model.skips)
    yield phases_table(report)


def models_table(report: ExportReport) -> Table:
    """One row a model: where it is, how large, how its attention is written, how far it is off."""
    columns = (
        Column("model", number=False, whole=True),
        Column("size"),
        Column("nodes"),
        Column("attention fused"),
        Column("dtype", number=False),
        Column("weights", number=False),
        Column("error"),
        Column("check", number=False, whole=True),
    )
    rows = tuple(
        (
            model.stage,
            format_bytes(model.nbytes),
            str(model.nodes),
            f"{model.attention_fused} of {model.attention_sites}",
            model.dtype,
            model.weights,
            "" if model.check.error is None else f"{model.check.error:.1e}",
            verdict(model),
        )
        for model in report.models
    )
    note = "error: largest difference from PyTorch over the root mean square of its result, worst of the sizes checked"
    return Table("Models", columns, rows, note=note)


def verdict(model: ModelReport) -> str:
    """The outcome of a model's check in a word or two; the notes say more."""
    if not model.check.checked:
        return "not compared"
    return "agrees" if model.check.ok else "DIFFERS"


def operators_table(model: ModelReport) -> Table:
    """The most frequent operators of a model."""
    items = list(model.operators.items())
    rows = tuple((name, str(count)) for name, count in items[:MOST_OPERATORS])
    rest = items[MOST_OPERATORS:]
    note = f"and {len(rest)} others, {sum(count for _, count in rest)} nodes" if rest else ""
    return Table(f"{model.stage}: operators", (Column("operator", number=False), Column("nodes")), rows, note=note)


def phases_table(report: ExportReport) -> Table:
    """Seconds of every phase of every model."""
    names = list(dict.fromkeys(phase.name for model in report.models for phase in model.phases))
    rows = []
    for model in report.models:
        seconds = {phase.name: phase.seconds for phase in model.phases}
        rows.append((model.stage, *(format_seconds(seconds[n]) if n in seconds else "" for n in names)))
    return Table("Time", (Column("model", number=False), *map(Column, names)), tuple(rows))


def model_notes(model: ModelReport) -> tuple[str, ...]:
    """What there is to say about a model: sizes it was checked at, nodes in float32, capture's notes."""
    check = model.check
    lines = [f"compared on {check.provider}, tolerance {check.tolerance:g}"] if check.checked else []
    if check.why:
        lines.append(f"{'it differs' if check.checked else 'not compared'}: {check.why}")
    lines += [f"checked at {_sizes(item.sizes)}: error {item.error:.1e}{_noise(item)}" for item in model.check.bindings]
    if model.check.diverges:
        lines.append(f"first differs at {model.check.diverges}")
    if model.islands:
        lines.append(f"in float32: {', '.join(model.islands)}")
    if model.random_weights:
        lines.append("its weights are random: the file is for timing, not for use")
    where = f"{model.path}, weights in {model.data}" if model.data is not None else model.path
    return (f"written to {where}", *lines, *model.notes)


def _noise(item: BindingCheck) -> str:
    return f", PyTorch's own rounding {item.noise:.1e}" if item.noise > 0 else ""


def _sizes(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{name}={size}" for name, size in sizes.items()) or "its fixed sizes"
