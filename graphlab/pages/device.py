"""The page of a device file, of `graphlab calibrate` or of one's own."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from graphlab.calibration.data import BYTES, CLASSES, ROWS, Calibration, Table
from graphlab.figures.charts import facets, quantity, tooltip
from graphlab.hardware import Hardware
from graphlab.report.device_tables import calibration_table, calls_table, device_fields, rates_table
from graphlab.report.figure import Column, Figure, Value
from graphlab.report.html import Document, Section, plains

COLUMNS = (
    Column("kind", "kind of operator"),
    Column("operator", "operator"),
    Column("sizes", "sizes"),
    Column("work", "work", help="bytes read and written, elements of rows, or multiply-adds"),
    Column("seconds", "time", "s"),
    Column("rate", "work a second"),
)


def device_document(device: Hardware) -> Document:
    """What the file says: rates with their sources, and how long each operator took at each size that was measured."""
    sections = [Section("Rates", tables=plains((rates_table(device),)))]
    calibration = device.calibration
    if calibration is not None:
        tables = plains((calibration_table("Operators", calibration), calls_table(calibration)))
        sections.append(Section("Measured", tables=tables, figures=(operators_figure(calibration),)))
    return Document(
        title=f"Device {device.title}",
        subtitle=tuple(f"{name}: {value}" for name, value in device_fields(device)),
        sections=tuple(sections),
        notes=(device.note,) if device.note else (),
    )


def operators_figure(calibration: Calibration) -> Figure:
    """Time over work, a line an operator, a panel a kind of work; both axes logarithmic."""
    rows = tuple(row for table in calibration.tables.values() for row in _rows(table))
    return Figure(
        name="operators",
        title="Time of an operator over its work",
        caption="Medians over rounds; where a line is flat, a call costs what it costs however little it does.",
        columns=COLUMNS,
        rows=rows,
        chart=_chart() if rows else None,
    )


def _rows(table: Table) -> Iterator[dict[str, Value]]:
    for sizes, seconds in table.points.items():
        work = math.prod(size for axis, size in zip(table.axes, sizes, strict=True) if axis not in CLASSES)
        yield {
            "kind": _kind(table),
            "operator": table.name,
            "sizes": ", ".join(f"{axis} {size}" for axis, size in zip(table.axes, sizes, strict=True)),
            "work": work,
            "seconds": seconds,
            "rate": work / seconds,
        }


def _kind(table: Table) -> str:
    if table.axes[-1:] == BYTES:
        return "bytes"
    return "elements" if table.axes == ROWS else "multiply-adds"


def _chart() -> dict[str, Any]:
    lines: dict[str, Any] = {
        "mark": {"type": "point", "filled": True, "size": 18, "opacity": 0.7},
        "encoding": {
            "x": quantity("work", "work", log=True),
            "y": quantity("seconds", "seconds", log=True),
            "color": {"field": "operator", "type": "nominal", "legend": None},
            "tooltip": tooltip(COLUMNS, "operator", "sizes", "work", "seconds", "rate"),
        },
    }
    chart = facets("kind", 3, lines, free=("x",))
    return {"description": "Points: seconds of one call over its work, a panel a kind of work.", **chart}
