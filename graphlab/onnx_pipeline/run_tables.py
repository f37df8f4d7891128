"""Fields and table of a `RunReport`."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.onnx_pipeline.run_report import RunReport
from graphlab.report.tables import Column, Table
from graphlab.units import format_seconds


def run_fields(report: RunReport) -> Iterator[tuple[str, str]]:
    """(name, value) of what ran, on what, with which arguments."""
    yield ("folder", report.folder)
    yield ("pipeline", report.pipeline)
    yield ("provider", report.provider)
    yield ("seed", str(report.seed))
    for name, value in report.arguments.items():
        text = "none" if value is None else str(value)
        yield (name, text if len(text) <= 60 else f"{text[:57]}...")
    yield ("result", "x".join(map(str, report.shape)))
    yield ("loading", format_seconds(report.load_seconds))
    yield ("generation", format_seconds(report.run_seconds))


def run_table(report: RunReport) -> Table:
    """One row a model: calls, and seconds of all of them."""
    columns = (Column("model", number=False, whole=True), Column("calls"), Column("time"), Column("a call"))
    rows = tuple(
        (
            item.model,
            str(item.calls),
            format_seconds(item.seconds),
            format_seconds(item.seconds / item.calls) if item.calls else "-",
        )
        for item in report.models
    )
    return Table("Models", columns, rows)
