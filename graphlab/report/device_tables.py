"""What a device file says, as tables: peaks with their sources, and a calibration's measured operators."""

from __future__ import annotations

from collections.abc import Iterator

from graphlab.calibration.data import Calibration
from graphlab.hardware import Hardware
from graphlab.report.tables import Column, Table
from graphlab.units import format_bytes, format_count, format_seconds

DISPATCH = ("add", "view", "dropout")
"""Calls whose time on a few elements is told."""


def device_fields(device: Hardware) -> Iterator[tuple[str, str]]:
    """(name, value) of what the device is, and of how it was measured."""
    yield "kind", device.kind
    yield "memory", format_bytes(device.memory_bytes)
    if device.calibration is not None:
        yield "processor", device.calibration.machine
        yield "measured", f"{device.calibration.date}, {device.calibration.rounds} rounds"
        threads = device.calibration.threads
        yield "with", f"torch {device.calibration.torch}, {threads} threads, {device.calibration.dtype}"


def rates_table(device: Hardware) -> Table:
    """A row a rate: of memory and of each dtype, with where it is published."""
    columns = (*(Column(head, number=False) for head in ("rate",)), Column("value"), Column("source", number=False))
    rates = {"memory_bandwidth": ("memory", format_count(device.bandwidth, "B/s"))}
    rates |= {
        f"peak_flops.{dtype}": (f"contractions in {dtype}", format_count(rate, "FLOP/s"))
        for dtype, rate in device.peak_flops.items()
    }
    measured = "measured here" if device.calibration is not None else "not told"
    rows = tuple((name, value, device.sources.get(key, measured)) for key, (name, value) in rates.items())
    return Table("Rates", columns, rows)


def calibration_table(title: str, calibration: Calibration) -> Table:
    """A row an operator: how many sizes were measured, the shortest and the longest time."""
    columns = (Column("operator", number=False), *(Column(head) for head in ("sizes", "shortest", "longest")))
    rows = tuple(
        (
            name,
            str(len(table.points)),
            format_seconds(min(table.points.values())),
            format_seconds(max(table.points.values())),
        )
        for name, table in calibration.tables.items()
        if table.points
    )
    calls = ", ".join(f"{format_seconds(calibration.calls[name])} ({name})" for name in DISPATCH)
    note = f"medians over rounds; an operator of a few elements takes {calls}"
    return Table(title, columns, rows, note=note)


def calls_table(calibration: Calibration) -> Table:
    """A row a call on a tensor of a few elements, longest first: what is left is dispatch."""
    found = sorted(calibration.calls.items(), key=lambda item: (-item[1], item[0]))
    rows = tuple((name, format_seconds(seconds)) for name, seconds in found)
    return Table("Calls on a few elements", (Column("call", number=False), Column("time")), rows)
