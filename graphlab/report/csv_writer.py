"""The calls of every stage as CSV text, a row a call."""

from __future__ import annotations

import csv
import io

from graphlab.report.data import AnalysisReport, NodeRow

COLUMNS = (
    "stage", "node", "op", "category", "role", "module", "source", "shape", "dtype", "flops", "pointwise_flops",
    "bytes_read", "bytes_written", "attention", "seconds",
)  # fmt: skip


def to_csv(report: AnalysisReport) -> str:
    """One row a call of each stage in call order; empty cells are unknown, or do not apply.

    Numbers are plain integers of one call at the bindings in force; `seconds` is an estimate.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for stage in report.stages:
        for row in stage.nodes:
            writer.writerow((stage.name, row.name, *_cells(row)))
    return out.getvalue()


def _cells(row: NodeRow) -> tuple[str | int | float | None, ...]:
    return (
        row.op,
        row.category,
        row.role,
        row.module,
        row.source,
        "x".join(map(str, row.shape)),
        row.dtype,
        row.flops,
        row.pointwise_flops,
        row.bytes_read,
        row.bytes_written,
        row.attention,
        row.seconds,
    )
