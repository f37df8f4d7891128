"""The tables of a characterization, for the terminal and the HTML page."""

from __future__ import annotations

from graphlab.report.characterization_data import CharacterizationReport, ModelRow, StageRow
from graphlab.report.tables import Column, Table
from graphlab.units import format_bytes, format_count, format_seconds, format_share

ESTIMATES = "times are estimates of one generation; baseline: attention scores in memory; fused: one attention kernel"


def models_table(report: CharacterizationReport) -> Table:
    """One row a model."""
    heads = ("params", "FLOP", "bytes", "peak", "baseline", "fused", "speedup", "compiled", "idle")
    columns = (Column("model", number=False), Column("family", number=False), *map(Column, heads))
    note = f"{ESTIMATES}; compiled: merged and replayed; idle: the device waits for the host; bytes, peak, idle: fused"
    return Table("Models", columns, tuple(map(_model_row, report.models)), note=note)


def _model_row(row: ModelRow) -> tuple[str, ...]:
    return (
        row.name,
        row.family,
        format_count(row.parameters),
        format_count(row.flops),
        format_bytes(row.bytes_fused),
        format_bytes(row.peak_bytes_fused),
        format_seconds(row.seconds_baseline),
        format_seconds(row.seconds_fused),
        _ratio(row.seconds_baseline, row.seconds_fused),
        format_seconds(row.seconds_compiled),
        _share(row.idle_fused, row.seconds_fused),
    )


def stages_table(report: CharacterizationReport) -> Table:
    """One row a stage of every model."""
    heads = ("steps", "calls", "FLOP", "bytes", "baseline", "fused", "of model")
    columns = (Column("model", number=False), Column("stage", number=False), *map(Column, heads))
    rows = [_stage_row(model, stage) for model in report.models for stage in model.stages]
    return Table("Stages", columns, tuple(rows), note="guided calls are one call at twice the batch where pipelines do so")


def _stage_row(model: ModelRow, stage: StageRow) -> tuple[str, ...]:
    return (
        model.name,
        stage.name,
        format_count(stage.steps),
        format_count(stage.calls),
        format_count(stage.flops),
        format_bytes(stage.bytes_fused),
        format_seconds(stage.seconds_baseline),
        format_seconds(stage.seconds_fused),
        _share(stage.seconds_fused, model.seconds_fused),
    )


def shares_table(report: CharacterizationReport) -> Table | None:
    """Shares of time by operator category with fused attention; None without that figure."""
    found = next((figure for figure in report.figures if figure.name == "breakdown"), None)
    if found is None:
        return None
    rows = [row for row in found.rows if row["attention"] == "fused"]
    names = [name for name in dict.fromkeys(str(row["category"]) for row in rows)]
    shares = {(row["model"], row["category"]): row["share"] for row in rows}
    cells = []
    for model in report.models:
        values = (shares.get((model.name, name)) for name in names)
        cells.append((model.name, *("-" if v is None else format_share(float(v)) for v in values)))
    columns = (Column("model", number=False), *map(Column, names))
    return Table("Time by operator category, fused attention", columns, tuple(cells), note=ESTIMATES)


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
    return format_share(part / whole) if whole else "-"
