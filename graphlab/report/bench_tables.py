"""A `BenchReport` as tables and lines: what the terminal and the Markdown writer draw."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.report.bench_data import BenchReport, CandidateBench, Interval, Ratio, StageBench
from graphlab.report.tables import Column, Table
from graphlab.units import format_bytes, format_seconds


def bench_fields(report: BenchReport) -> list[tuple[str, str]]:
    """(name, value) of what the times hold for."""
    here = report.environment
    versions = ", ".join(f"{name} {text}" for name, text in here.versions.items() if text is not None)
    budget = f", {format_seconds(report.budget_seconds)} at most" if report.budget_seconds is not None else ""
    fields = [
        ("source", report.source),
        ("bindings", ", ".join(f"{name}={value}" for name, value in report.bindings.items()) or "none"),
        ("processor", f"{here.cpu}, {here.cores} cores, {here.threads} threads a call"),
        ("memory", format_bytes(here.memory_bytes) if here.memory_bytes is not None else "unknown"),
        ("clock", here.governor or "unknown"),
        ("load before", f"{here.load_average:.2f}" if here.load_average is not None else "unknown"),
        ("versions", versions),
        ("rounds", f"{report.rounds}{budget}, seed {report.seed}"),
    ]
    return [*fields, ("GPU", here.gpu)] if here.gpu is not None else fields


def bench_tables(report: BenchReport) -> list[Table]:
    """Of each stage the times and what they cost, then the whole generation where it was timed."""
    tables = [table for stage in report.stages for table in (times_table(stage), costs_table(stage))]
    return [*tables, *([totals_table(report)] if report.totals else [])]


def times_table(stage: StageBench) -> Table:
    """One row a candidate that was timed: seconds and the ratio to the base; bars are of the median."""
    rows = [(item, item.times) for item in stage.candidates if item.times is not None]
    longest = max((times.seconds for _, times in rows), default=0.0)
    heads = ("median", "p10", "p90", "times as fast", "95 %")
    columns = (
        Column("candidate", number=False, whole=True),
        *map(Column, heads),
        Column("verdict", number=False, whole=True),
    )
    cells = tuple(
        (
            item.label,
            *map(format_seconds, (times.seconds, times.low, times.high)),
            *_ratio(item.ratio, is_base=item.label == stage.base),
        )
        for item, times in rows
    )
    shares = tuple(times.seconds / longest if longest else 0.0 for _, times in rows)
    what = "one call" if stage.unit == "call" else f"one generation, {stage.calls} calls"
    estimate = any(times.estimate for _, times in rows)
    note = f"{stage.rounds} rounds; as fast as {stage.base}: medians of the ratios of a round" if stage.base else ""
    return Table(f"{stage.name}: seconds of {what}{' (estimates)' if estimate else ''}", columns, cells, shares, note)


def _ratio(ratio: Ratio | None, *, is_base: bool) -> tuple[str, str, str]:
    if ratio is None:
        return ("1", "", "base") if is_base else ("-", "", "")
    interval = format_interval(ratio.interval)
    words = ratio.verdict if ratio.verdict != "unknown" else f"too few rounds ({ratio.rounds})"
    return f"{ratio.median:.3f}", interval, words


def format_interval(interval: Interval | None) -> str:
    """ "0.95 to 1.05"; a dash for none."""
    return "-" if interval is None else f"{interval.low:.3f} to {interval.high:.3f}"


def costs_table(stage: StageBench) -> Table:
    """One row a candidate: whether it agrees with the reference, what compiling took, and its memory."""
    columns = (
        Column("candidate", number=False, whole=True),
        Column("outcome", number=False, whole=True),
        *map(Column, ("error", "allowed", "compile", "compile peak", "run peak")),
    )
    rows = tuple(_cost_row(item) for item in stage.candidates)
    note = f"error: worst output beside {stage.reference}, over its largest value; peaks are of the whole process"
    return Table(f"{stage.name}: what it took", columns, rows, note=note)


def _cost_row(item: CandidateBench) -> tuple[str, ...]:
    check = item.check
    worst = "-" if check is None else "no number" if check.worst_error is None else f"{check.worst_error:.2g}"
    return (
        item.label,
        item.status,
        worst,
        f"{check.tolerance:g}" if check is not None else "-",
        format_seconds(item.compile_seconds) if item.compile_seconds is not None else "-",
        _bytes(item.memory.compile_peak_bytes),
        _bytes(item.memory.run_peak_bytes),
    )


def _bytes(value: int | None) -> str:
    return format_bytes(value) if value is not None else "-"


def totals_table(report: BenchReport) -> Table:
    """One row a candidate: seconds of a whole generation, all stages."""
    known = [item.seconds for item in report.totals if item.seconds is not None]
    longest = max(known, default=0.0)
    heads = ("seconds", "95 %", "times as fast", "95 % of it")
    columns = (
        Column("candidate", number=False, whole=True),
        *map(Column, heads),
        Column("verdict", number=False, whole=True),
    )
    rows, shares = [], []
    for item in report.totals:
        base = item.seconds is not None and item.ratio is None
        seconds = format_seconds(item.seconds) if item.seconds is not None else "-"
        ends = (item.interval.low, item.interval.high) if item.interval is not None else ()
        between = " to ".join(map(format_seconds, ends)) or "-"
        rows.append((item.label, seconds, between, *_ratio(item.ratio, is_base=base)))
        shares.append((item.seconds or 0.0) / longest if longest else 0.0)
    title = "Whole generation" + (" (estimates)" if any(item.estimate for item in report.totals) else "")
    added = ", ".join(stage.name for stage in report.stages)
    return Table(title, columns, tuple(rows), tuple(shares), f"added up round by round: {added}")


def failures(stage: StageBench) -> list[str]:
    """A line for each candidate that was not timed: why."""
    return [f"{item.label}: {item.status}: {item.error}" for item in stage.candidates if item.status != "timed"]


def stage_lines(stage: StageBench) -> Iterator[str]:
    """What there is to know about a stage and its candidates beside the numbers."""
    yield from stage.notes
    for item in stage.candidates:
        yield from (f"{item.label}: {note}" for note in item.notes)
        if item.times is not None and not item.times.stable:
            yield f"{item.label}: its warm-up did not settle in {item.times.warmup_calls} calls: is the machine busy?"
