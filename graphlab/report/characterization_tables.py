"""The tables of a characterization, for the terminal and the HTML page."""

from __future__ import annotations

from graphlab.report.characterization_data import CharacterizationReport, ModelRow, StageRow
from graphlab.report.tables import Column, Table
from graphlab.report.wording import FUSED_BYTES, LEFT_OUT, TIMED_LEFT_OUT, count_text, marked
from graphlab.units import format_bytes, format_count, format_seconds, format_share

_NAME = Column("model", number=False, whole=True)

_TIMED = "+: calls without a rule are timed by their bytes alone"
ESTIMATES = "times are estimates of one generation; baseline: attention scores in memory; fused: one attention kernel"


def models_table(report: CharacterizationReport) -> Table:
    """One row a model: counts of one generation."""
    heads = ("params", "FLOP", FUSED_BYTES, "peak", "weights")
    columns = (_NAME, *map(Column, heads))
    rows = tuple(
        (
            row.name,
            format_count(row.parameters),
            count_text(row.flops, row.unknown_nodes),
            format_bytes(row.bytes_fused),
            format_bytes(row.peak_bytes_fused),
            format_bytes(row.weight_bytes),
        )
        for row in report.models
    )
    note = "of one generation; bytes and peak activations: fused attention"
    return Table("Models", columns, rows, note=f"{note}; {LEFT_OUT}" if _unknown(report) else note)


def _unknown(report: CharacterizationReport) -> bool:
    return any(row.unknown_nodes for row in report.models)


def times_table(report: CharacterizationReport) -> Table:
    """One row a model: estimated times of one generation."""
    columns = (_NAME, *map(Column, ("baseline", "fused", "speedup", "compiled", "idle")))
    rows = tuple(
        (
            row.name,
            marked(format_seconds(row.seconds_baseline), row.unknown_nodes),
            marked(format_seconds(row.seconds_fused), row.unknown_nodes),
            _ratio(row.seconds_baseline, row.seconds_fused),
            "-" if row.seconds_compiled is None else marked(format_seconds(row.seconds_compiled), row.unknown_nodes),
            _share(row.idle_fused, row.seconds_fused),
        )
        for row in report.models
    )
    note = f"{ESTIMATES}; compiled: pointwise calls merged, no host; idle: share of fused in which the device waits"
    note += f"; {_TIMED}" if _unknown(report) else ""
    return Table(f"Times on {report.device}", columns, rows, note=note)


def stages_table(report: CharacterizationReport) -> Table:
    """One row a stage of every model."""
    heads = ("steps", "calls", "FLOP", FUSED_BYTES, "baseline", "fused", "of model")
    columns = (Column("stage", number=False, whole=True), *map(Column, heads))
    rows = [_stage_row(model, stage) for model in report.models for stage in model.stages]
    note = "guided calls are one call at twice the batch, as in pipelines; bytes: fused attention; times are estimates"
    return Table("Stages", columns, tuple(rows), note=f"{note}; {TIMED_LEFT_OUT}" if _unknown(report) else note)


def _stage_row(model: ModelRow, stage: StageRow) -> tuple[str, ...]:
    return (
        f"{model.name} {stage.name}",
        format_count(stage.steps),
        format_count(stage.calls),
        count_text(stage.flops, stage.unknown_nodes),
        format_bytes(stage.bytes_fused),
        marked(format_seconds(stage.seconds_baseline), stage.unknown_nodes),
        marked(format_seconds(stage.seconds_fused), stage.unknown_nodes),
        _share(stage.seconds_fused, model.seconds_fused),
    )


_SHOWN = ("convolution", "linear", "attention", "normalization", "elementwise", "movement", "idle")
"""Categories with a column of their own; the others are added up."""


def shares_table(report: CharacterizationReport) -> Table | None:
    """Shares of time by operator category with fused attention; None without that figure."""
    found = next((figure for figure in report.figures if figure.name == "breakdown"), None)
    if found is None:
        return None
    shares: dict[str, dict[str, float]] = {}
    for row in found.rows:
        if row["attention"] == "fused" and isinstance(row["share"], float):
            own = shares.setdefault(str(row["model"]), dict.fromkeys((*_SHOWN, "other"), 0.0))
            own[str(row["category"]) if row["category"] in _SHOWN else "other"] += row["share"]
    heads = ("conv", "linear", "attention", "norm", "elementwise", "movement", "idle", "other")
    rows = tuple((name, *(format_share(part, 1.0) for part in own.values())) for name, own in shares.items())
    return Table("Time by operator category, fused attention", (_NAME, *map(Column, heads)), rows, note=ESTIMATES)


def findings_table(report: CharacterizationReport) -> Table:
    """What the models on this device say to each takeaway of the characterization."""
    columns = (
        Column("finding", number=False, whole=True),
        Column("verdict", number=False, whole=True),
        Column("claim", number=False),
    )
    rows = tuple((finding.name, finding.verdict, finding.claim) for finding in report.findings)
    note = "verdicts about time hold for the time model on this device; --json has the evidence"
    return Table("Findings", columns, rows, note=note)


def figures_table(report: CharacterizationReport) -> Table | None:
    """What figures there are, how many rows each has, and why one has none."""
    if not report.figures:
        return None
    columns = (Column("figure", number=False, whole=True), Column("rows"), Column("what it shows", number=False))
    rows = tuple(
        (figure.name, format_count(len(figure.rows)), figure.title if figure.rows else "; ".join(figure.notes))
        for figure in report.figures
    )
    return Table("Figures", columns, rows, note="--html draws them, --csv and --svg write one file each")


def _ratio(baseline: float, fused: float) -> str:
    return f"{baseline / fused:.2f}x" if fused else "-"


def _share(part: float, whole: float) -> str:
    return format_share(part, whole) if whole else "-"
